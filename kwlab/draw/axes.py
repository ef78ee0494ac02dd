"""A frame with two axes for lines of numbers: where a value lies, and which round numbers stand at the edge."""

import math

from kwlab.draw.svg import Svg

__all__ = ["Axes", "seconds"]

LEFT, RIGHT, TOP, BOTTOM = 150, 40, 30, 44


def seconds(value: float) -> str:
    """A time in the unit that suits it: "12 µs", "3.4 ms", "1.2 s"."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns" if value else "0"


class Axes:
    """The plot inside `svg`: x from `low` to `high` (by powers of ten if `log`), y from 0 to `top`."""

    def __init__(self, svg: Svg, low: float, high: float, top: float, log: bool = False) -> None:
        self.svg, self.log, self.top = svg, log, top or 1.0
        self.low, self.high = low, high if high > low else low + 1.0
        self.width, self.height = svg.width - LEFT - RIGHT, svg.height - TOP - BOTTOM

    def x(self, value: float) -> float:
        low, high = self.low, self.high
        if self.log:
            low, high, value = (math.log10(one) for one in (low, high, max(value, low)))
        return LEFT + self.width * (value - low) / (high - low)

    def y(self, value: float) -> float:
        return TOP + self.height * (1 - value / self.top)

    def frame(self, y_name: str, x_ticks: list[tuple[float, str]], y_ticks: list[tuple[float, str]]) -> None:
        """The axes, their numbers, and over the y axis what it counts."""
        self.svg.path([(LEFT, TOP), (LEFT, TOP + self.height), (LEFT + self.width, TOP + self.height)])
        self.svg.text(10, TOP - 12, y_name, "soft")
        for value, words in x_ticks:
            self.svg.path([(self.x(value), TOP + self.height), (self.x(value), TOP + self.height + 5)])
            self.svg.text(self.x(value), TOP + self.height + 20, words, "soft", "middle")
        for value, words in y_ticks:
            self.svg.path([(LEFT - 5, self.y(value)), (LEFT, self.y(value))])
            self.svg.text(LEFT - 10, self.y(value) + 4, words, "soft", "end")
