"""What all our widgets share: without a live kernel they are still a picture."""

from html import escape
from typing import Any
from zlib import crc32

import ipywidgets
from IPython.display import display

from kwlab.draw.svg import Picture

__all__ = ["Pictured", "button", "said"]

UNUSABLE = "(a widget: run this notebook to use it)"


class Pictured(ipywidgets.VBox):  # type: ignore[misc]
    """A column of widgets with a static stand-in, for GitHub, an export, a dead kernel, and for nbval to compare.

    It is displayed twice. First comes the picture, which stays in the notebook's file; then the widget, which carries
    the style that hides the picture. So one of the two is seen: the widget while its kernel lives, else the picture.
    """

    children: Any  # a traitlet

    def picture(self) -> Picture:
        """What stands in."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return repr(self.picture())

    def _ipython_display_(self) -> None:
        picture = self.picture()
        # The same in every run, so that nbval finds no difference.
        mark = f"kwlab-{crc32(picture.still.encode()):08x}"
        hiding = f"<style>.{mark}{{display:none}}</style>"
        if not any(getattr(child, "value", None) == hiding for child in self.children):
            self.children = (*self.children, ipywidgets.HTML(hiding, layout=ipywidgets.Layout(display="none")))
        still = f'<div class="{mark}">{picture.still}</div>'
        show: Any = display  # untyped in IPython
        show({"text/plain": picture.label, "text/html": still}, raw=True)
        view: dict[str, Any] = dict(self._repr_mimebundle_() or {})
        show(view | {"text/plain": UNUSABLE}, raw=True)


def button(words: str, tooltip: str, action: Any) -> ipywidgets.Button:
    """A button that calls ``action()``; a Tab and the space bar reach it too."""
    layout = ipywidgets.Layout(width="auto", align_self="flex-start")
    made = ipywidgets.Button(description=words, tooltip=tooltip, layout=layout)
    made.on_click(lambda _: action())
    return made


def said(*lines: str) -> str:
    """Text that a screen reader speaks when it changes, a paragraph for each of `lines`."""
    inside = "".join(f"<div>{escape(line)}</div>" for line in lines) if len(lines) > 1 else escape("".join(lines))
    return f'<div role="status" aria-live="polite" style="line-height:1.5">{inside}</div>'
