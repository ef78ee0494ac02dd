"""How long works waited: for each contestant, which share of them had started by when, on a logarithmic axis."""

import math
from collections.abc import Mapping, Sequence

from kwlab.draw.plot import CLASSES, axes, plotted
from kwlab.draw.svg import LINE, Picture
from kwlab.draw.units import seconds

__all__ = ["waits_picture"]

WIDTH, HEIGHT = 720, 240  # without the legend
DASHES: tuple[tuple[float, ...], ...] = (
    (),
    (9, 4),
    (2, 3),
    (9, 3, 2, 3),
    (14, 3),
)  # who is who: not a matter of colour
PARTS = (0, 50, 99)  # per cent, the lines across


def waits_picture(waits: Mapping[str, Sequence[float]]) -> Picture:
    """`waits`: for each contestant (at most five) the seconds within which 1, 2, ... 100 per cent had started.

    Errors: `ValueError` for more contestants, or for other than 100 positive values.
    """
    counts = {name: len(values) for name, values in waits.items()}
    if not 0 < len(waits) <= len(DASHES) or any(len(values) != 100 or min(values) <= 0 for values in waits.values()):
        raise ValueError(f"waits_picture() draws one to {len(DASHES)} contestants of 100 times each, not {counts}")
    top = LINE * len(waits) + 16
    figure, ax = axes(WIDTH, HEIGHT + top, (60, 30, 56, top))
    for number, (name, values) in enumerate(waits.items()):
        line = ax.plot(values, range(1, 101), color=CLASSES["line"], label=name, clip_on=False)[0]
        if DASHES[number]:
            line.set_dashes(DASHES[number])
    low = math.floor(math.log10(min(min(values) for values in waits.values())))
    high = math.ceil(math.log10(max(max(values) for values in waits.values())))
    ticks = [10.0**decade for decade in range(low, max(high, low + 1) + 1)]
    ax.set_xscale("log")
    ax.set_xlim(ticks[0], ticks[-1])
    ax.set_xticks(ticks, [seconds(tick) for tick in ticks], minor=False)
    ax.set_ylim(0, 100)
    ax.set_yticks(PARTS, [f"{part} %" for part in PARTS])
    ax.set_xlabel("had started within (each step to the right: ten times longer)", color=CLASSES["soft"], labelpad=10)
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        frameon=False,
        handlelength=4,
        labelcolor=CLASSES[""],
        fontsize=13,
        borderpad=0,
        labelspacing=0.2,
    )
    told = "; ".join(
        f"{name}: half within {seconds(values[49])}, 99 % within {seconds(values[98])}"
        for name, values in waits.items()
    )
    return plotted(figure, f"share of the works that had started, by waiting time. {told}")
