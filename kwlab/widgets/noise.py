"""`NoiseSlider`: the noisy neighbour of the recording, louder and less loud."""

from html import escape

import ipywidgets

from kwlab.bench.recording import recorded_comparison, recorded_results
from kwlab.draw.svg import Picture
from kwlab.draw.waits import waits_picture
from kwlab.widgets.pictured import Pictured, said

__all__ = ["NoiseSlider"]


class NoiseSlider(Pictured):
    """How long a small work waits, by itself and in a shared pool, beside as many works of others as the slider says.

    It shows the levels that were recorded, and makes no noise itself. The arrow keys move it.
    """

    def __init__(self) -> None:
        super().__init__()
        compared = [recorded_comparison(name) for name in recorded_results("neighbour-")]
        self._levels = {one.details["others"]: one for one in compared}
        self.slider = ipywidgets.SelectionSlider(
            options=list(self._levels), value=max(self._levels), description="noise"
        )
        self._drawing, self._said = ipywidgets.HTML(), ipywidgets.HTML()
        self.slider.observe(lambda _: self._show(), "value")
        self.children = [self.slider, self._drawing, self._said]
        self._show()

    def _show(self) -> None:
        self._drawing.value = self._waits().svg
        self._said.value = said(self.sentence())

    def _waits(self) -> Picture:
        return waits_picture(self._levels[self.slider.value].details["waits"])

    def sentence(self) -> str:
        """What the data say at the level that is chosen."""
        return self._levels[self.slider.value].sentence()

    def picture(self) -> Picture:
        """The level that is chosen, with what is said of it."""
        waits = self._waits()
        return Picture(f"<div>{waits.still}<p>{escape(self.sentence())}</p></div>", f"{waits.label}. {self.sentence()}")
