"""What costs more, and how surely: the ratios of comparisons with their intervals, on a logarithmic axis."""

from collections.abc import Sequence
from dataclasses import dataclass

from kwlab.draw.plot import CLASSES, axes, plotted
from kwlab.draw.svg import LINE, Picture

__all__ = ["Ratio", "ratios_picture"]

WIDTH = 720
ROW = 3 * LINE
TICKS = (0.001, 0.01, 0.1, 1, 10, 100, 1000)


@dataclass(frozen=True)
class Ratio:
    """One comparison: what `over` costs in what `under` costs, the median and the ends of its 95 % interval."""

    subject: str
    over: str
    under: str
    median: float
    low: float
    high: float
    sure: bool  # whether anybody has won

    def __str__(self) -> str:
        more = f"{self.median:.3g} times ({self.low:.3g} to {self.high:.3g})"
        return f"{self.subject}: {self.over} costs {more} as much as {self.under}" + (
            "" if self.sure else ", no difference"
        )


def ratios_picture(ratios: Sequence[Ratio]) -> Picture:
    """A row for each of `ratios`: left of 1 `over` costs less, right of it more. A stroke with
    head and foot: no difference is sure.

    Errors: `ValueError` if there is none.
    """
    if not ratios:
        raise ValueError("ratios_picture() needs at least one ratio")
    figure, ax = axes(WIDTH, ROW * len(ratios) + 50, (24, 30, 46, 4))
    lowest, highest = (end(value for one in ratios for value in (one.low, one.high)) for end in (min, max))
    ticks = [tick for tick in TICKS if lowest / 10 < tick < highest * 10 or tick == 1]
    ax.set_xscale("log")
    ax.set_xlim(ticks[0], ticks[-1])
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    ax.set_ylim(len(ratios) * ROW, 0)
    ax.set_yticks([])
    for number, one in enumerate(ratios):
        top = number * ROW
        across = top + ROW - 12
        ax.plot([1, 1], [top + 22, top + ROW - 2], color=CLASSES["line"])  # where it crosses no words
        ends = [max(one.low, ticks[0]), min(one.high, ticks[-1])]
        ax.plot(ends, [across, across], color=CLASSES["line"], clip_on=False)
        # Strokes, for one of matplotlib's markers would be a reference, and a picture stands alone.
        width = one.median * 0.985, one.median * 1.015
        for offset in (-5, 5) if not one.sure else ():
            ax.plot(width, [across + offset] * 2, color=CLASSES["mark"], clip_on=False)
        ax.plot([one.median] * 2, [across - 5, across + 5], color=CLASSES["mark"], clip_on=False)
        ax.annotate(
            f"{one.subject}: {one.over} / {one.under}", (0.01, top + 16), xycoords=("axes fraction", "data"),
            color=CLASSES[""], fontsize=13,
        )  # fmt: skip
    return plotted(figure, "; ".join(map(str, ratios)))
