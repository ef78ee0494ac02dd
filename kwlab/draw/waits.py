"""How long two contestants let their works wait: which share of them had started by when, on a logarithmic axis."""

import math
from collections.abc import Mapping, Sequence

from kwlab.draw.svg import LINE, Picture, Svg

__all__ = ["waits_picture"]

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 60, 24, 56, 52
DECADES = ((-5, "10 µs"), (-4, "100 µs"), (-3, "1 ms"), (-2, "10 ms"), (-1, "100 ms"))
DASHES = ("", "7 4", "2 3")  # who is who does not hang on a colour


def waits_picture(waits: Mapping[str, Sequence[float]]) -> Picture:
    """`waits`: for each contestant (at most three) the seconds within which 1, 2, ... 100 per cent had started.

    Errors: `ValueError` for more contestants, or for other than 100 values.
    """
    if not 0 < len(waits) <= len(DASHES) or any(len(values) != 100 for values in waits.values()):
        counts = {name: len(values) for name, values in waits.items()}
        raise ValueError(f"waits_picture() draws one to {len(DASHES)} contestants of 100 values each, not {counts}")
    svg = Svg(WIDTH, HEIGHT)
    foot = HEIGHT - BOTTOM
    for decade, words in DECADES:
        svg.line(_across(10.0**decade), TOP, _across(10.0**decade), foot, "gap")
        svg.text(_across(10.0**decade), foot + LINE, words, "soft", "middle")
    for part in (0, 50, 99):
        svg.line(LEFT, _up(part), WIDTH - RIGHT, _up(part), "gap")
        svg.text(LEFT - 8, _up(part) + 4, f"{part} %", "soft", "end")
    svg.text(LEFT, HEIGHT - 10, "how long a work waited (each step to the right: ten times longer)", "soft")
    for number, (name, values) in enumerate(waits.items()):
        points = [(_across(seconds), _up(part)) for part, seconds in enumerate(values, 1)]
        svg.path(points, dashes=DASHES[number])
        svg.path([(LEFT, 16 + LINE * number), (LEFT + 44, 16 + LINE * number)], dashes=DASHES[number])
        svg.text(LEFT + 54, 20 + LINE * number, name)
    told = "; ".join(
        f"{name}: half within {values[49] * 1e6:,.0f} µs, 99 % within {values[98] * 1e6:,.0f} µs"
        for name, values in waits.items()
    )
    return svg.picture(f"share of the works that had started, by waiting time. {told}")


def _across(seconds: float) -> float:
    first, last = DECADES[0][0], DECADES[-1][0]
    share = (math.log10(max(seconds, 10.0**first)) - first) / (last - first)
    return LEFT + min(share, 1) * (WIDTH - RIGHT - LEFT - 24)


def _up(part: float) -> float:
    return HEIGHT - BOTTOM - part / 100 * (HEIGHT - BOTTOM - TOP)
