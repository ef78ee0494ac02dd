"""What all our widgets share: without a live kernel they are still a picture."""

from html import escape
from typing import Any

import ipywidgets

from kwlab.draw.svg import Picture

__all__ = ["Pictured", "button", "said"]


class Pictured(ipywidgets.VBox):  # type: ignore[misc]
    """A column of widgets with a static stand-in, for GitHub, an export, a dead kernel, and for nbval to compare."""

    def picture(self) -> Picture:
        """What stands in."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return repr(self.picture())

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = dict(super()._repr_mimebundle_(**kwargs) or {})
        return bundle | dict(self.picture()._repr_mimebundle_())


def button(words: str, tooltip: str, action: Any) -> ipywidgets.Button:
    """A button that calls ``action()``; a Tab and the space bar reach it too."""
    layout = ipywidgets.Layout(width="auto", align_self="flex-start")
    made = ipywidgets.Button(description=words, tooltip=tooltip, layout=layout)
    made.on_click(lambda _: action())
    return made


def said(words: str) -> str:
    """One line of text that a screen reader speaks when it changes."""
    return f'<div role="status" aria-live="polite">{escape(words)}</div>'
