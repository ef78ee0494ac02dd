"""Numbers without end in bounded memory: exact count, sum and extremes, and a sample for the rest."""

import random

__all__ = ["Sample", "Steps"]

KEPT = 10_000
STEPS = 4_000


class Sample:
    """Add values; ask for quantiles. Up to 10,000 values they are exact, beyond that those of a random sample of as
    many (seeded: the same trace gives the same answers)."""

    def __init__(self) -> None:
        self.count, self.total = 0, 0.0
        self.least = self.most = 0.0
        self.values: list[float] = []
        self._random = random.Random(1)

    def add(self, value: float) -> None:
        self.least = min(self.least, value) if self.count else value
        self.most = max(self.most, value) if self.count else value
        self.count += 1
        self.total += value
        if len(self.values) < KEPT:
            self.values.append(value)
        elif (place := self._random.randrange(self.count)) < KEPT:
            self.values[place] = value

    def quantile(self, part: float) -> float:
        """The value that `part` (0 to 1) of the values are not above; 0 if there is none."""
        if not self.values:
            return 0.0
        ordered = sorted(self.values)
        return ordered[min(int(part * len(ordered)), len(ordered) - 1)]

    @property
    def median(self) -> float:
        return self.quantile(0.5)

    def as_json(self) -> dict[str, float]:
        return {
            "count": self.count,
            "min": self.least,
            "median": self.median,
            "p99": self.quantile(0.99),
            "max": self.most,
        }


class Steps:
    """A number that changes over time, such as a queue's depth. Beyond 4,000 changes neighbours are joined, and the
    higher of the two is kept, so that no peak is lost."""

    def __init__(self) -> None:
        self.points: list[tuple[float, int]] = []
        self.most = 0

    def add(self, time: float, value: int) -> None:
        self.most = max(self.most, value)
        self.points.append((time, value))
        if len(self.points) > STEPS:
            pairs = zip(self.points[::2], self.points[1::2], strict=False)
            self.points = [(first[0], max(first[1], second[1])) for first, second in pairs] + self.points[-1:]
