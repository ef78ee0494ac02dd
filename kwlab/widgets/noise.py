"""`NoiseSlider`: the noisy neighbour, louder and less loud."""

from collections.abc import Mapping
from html import escape

import ipywidgets

from kwlab.bench.recording import measured
from kwlab.bench.results import Comparison, Result
from kwlab.draw.svg import Picture
from kwlab.draw.waits import waits_picture
from kwlab.widgets.pictured import Pictured, said

__all__ = ["NoiseSlider"]


class NoiseSlider(Pictured):
    """How long a small work waits, on a worker of its own and in a shared pool, beside as many works of others as the
    slider says.

    `results` are those of ``measured("neighbour")``, whose recording is the default; the slider itself makes no noise.
    The arrow keys move it. Errors: `ValueError` if no level of noise was measured.
    """

    def __init__(self, results: Mapping[str, Result] | None = None) -> None:
        super().__init__()
        results = measured("neighbour") if results is None else results
        compared = [one for one in results.values() if isinstance(one, Comparison) and "others" in one.details]
        if not compared:
            raise ValueError(f"NoiseSlider(): no level of noise among {', '.join(results) or 'no results'}")
        self._levels = {one.details["others"]: one for one in compared}
        self.slider = ipywidgets.SelectionSlider(
            options=sorted(self._levels), value=max(self._levels), description="noise"
        )
        self._drawing, self._said = ipywidgets.HTML(), ipywidgets.HTML()
        self.slider.observe(lambda _: self._show(), "value")
        self.children = [self.slider, self._drawing, self._said]
        self._show()

    def _show(self) -> None:
        self._drawing.value = self._waits().svg
        self._said.value = said(self.sentence())

    def _waits(self) -> Picture:
        waits = self._levels[self.slider.value].details["waits"]
        return waits_picture({name: spread["percent"] for name, spread in waits.items()})

    def sentence(self) -> str:
        """What the data say at the level that is chosen."""
        return self._levels[self.slider.value].sentence()

    def picture(self) -> Picture:
        """The level that is chosen, with what is said of it."""
        waits = self._waits()
        return Picture(f"<div>{waits.still}<p>{escape(self.sentence())}</p></div>", f"{waits.label}. {self.sentence()}")
