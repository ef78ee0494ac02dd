"""How tests use a widget without a browser: a button is pressed by the comm message that a browser would send."""

from collections.abc import Iterator

import ipywidgets
import pytest


def everything(widget: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


def find(widget: ipywidgets.Widget, words: str) -> ipywidgets.Button:
    return next(one for one in everything(widget) if isinstance(one, ipywidgets.Button) and one.description == words)


def press(button: ipywidgets.Button) -> None:
    assert not button.disabled, f"{button.description!r} is disabled"
    button._handle_custom_msg({"event": "click"}, [])


def shown(widget: ipywidgets.Widget) -> str:
    return " ".join(one.value for one in everything(widget) if isinstance(one, ipywidgets.HTML))


def displayed(widget: ipywidgets.Widget, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """The outputs that a cell has in the end that shows `widget`."""
    outputs: list[dict[str, str]] = []
    monkeypatch.setattr("kwlab.widgets.pictured.display", lambda bundle, raw: outputs.append(bundle))
    widget._ipython_display_()
    return outputs
