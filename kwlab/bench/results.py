"""What an experiment hands back, and the one sentence that follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kwlab.bench.statistics import bootstrap, median
from kwlab.draw.units import quantity

__all__ = ["FEWEST", "Comparison", "Observation", "Result", "Target", "not_measured"]

# A difference smaller than this is nobody's win, however sure it is: the order of the rounds alone makes as much.
DRAW = 0.03
# So many rounds have to be: the whole range of five values holds their true median only 15 times in 16.
FEWEST = 6


@dataclass(frozen=True)
class Target:
    """What kwlab promises of a median ratio, and of the worst round if that is promised too."""

    at_least: float | None = None
    at_most: float | None = None
    no_round_below: float | None = None

    def met(self, ratios: Sequence[float]) -> bool:
        return (
            (self.at_least is None or median(ratios) >= self.at_least)
            and (self.at_most is None or median(ratios) <= self.at_most)
            and (self.no_round_below is None or min(ratios) >= self.no_round_below)
        )

    def __str__(self) -> str:
        parts = (("at least", self.at_least), ("at most", self.at_most), ("no round below", self.no_round_below))
        return ", ".join(f"{words} {value:g}" for words, value in parts if value is not None)


@dataclass(frozen=True)
class Comparison:
    """What one thing costs two contestants, in rounds. `ratios` are the costs of `over` in those of `under`.

    `remark` is said behind the conclusion: what else was seen.
    """

    name: str
    subject: str
    unit: str  # of the samples: "s" or "B", always a cost, so less is better
    samples: dict[str, list[float]]
    over: str
    under: str
    target: Target | None = None
    details: dict[str, Any] = field(default_factory=dict)
    remark: str = ""

    def __post_init__(self) -> None:
        if len({len(self.samples[self.over]), len(self.samples[self.under])} - {0}) != 1:
            raise ValueError(f"{self.name}: a round needs a value of both {self.over!r} and {self.under!r}")

    @property
    def ratios(self) -> list[float]:
        return [a / b for a, b in zip(self.samples[self.over], self.samples[self.under], strict=True)]

    @property
    def interval(self) -> tuple[float, float]:
        """95 % bootstrap interval of the median ratio."""
        return bootstrap(self.ratios)

    @property
    def winner(self) -> str | None:
        """Who pays less; None unless the whole interval lies clear of a draw, and comes from enough rounds."""
        low, high = self.interval
        if len(self.ratios) < FEWEST:
            return None
        if low > 1 + DRAW:
            return self.under
        if high < 1 - DRAW:
            return self.over
        return None

    def sentence(self) -> str:
        low, high = self.interval
        over, under = (quantity(median(self.samples[name]), self.unit) for name in (self.over, self.under))
        figures = (
            f"{self.subject}: {self.over} {over}, {self.under} {under}, "
            f"median ratio {median(self.ratios):.3g} ({low:.3g} to {high:.3g}, {len(self.ratios)} rounds)"
        )
        conclusion = "no difference beyond the noise" if self.winner is None else f"{self.winner} costs less"
        return f"{figures}: {conclusion}." + (f" {self.remark}." if self.remark else "")

    def as_json(self) -> dict[str, Any]:
        ratios = self.ratios
        return {
            "name": self.name,
            "subject": self.subject,
            "unit": self.unit,
            "samples": self.samples,
            "medians": {name: median(values) for name, values in self.samples.items()},
            "ratio": f"{self.over} / {self.under}",
            "ratios": ratios,
            "median": median(ratios),
            "interval": list(self.interval),
            "worst": min(ratios) if self.target is not None and self.target.at_least is not None else max(ratios),
            "winner": self.winner,
            "target": str(self.target) if self.target is not None else None,
            "met": self.target.met(ratios) if self.target is not None else None,
            "details": self.details,
            "remark": self.remark,
            "sentence": self.sentence(),
        }


@dataclass(frozen=True)
class Observation:
    """Something seen, with nobody to compare it with. `met` says if it is as promised; None, like `target`, if nothing
    was promised."""

    name: str
    subject: str
    seen: str
    target: str | None = None
    met: bool | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def sentence(self) -> str:
        return f"{self.subject}: {self.seen}."

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "subject": self.subject,
            "seen": self.seen,
            "winner": None,
            "target": self.target,
            "met": self.met,
            "details": self.details,
            "sentence": self.sentence(),
        }


Result = Comparison | Observation


def not_measured(name: str, subject: str, why: str) -> Observation:
    """What stands in for a result that this machine, or this user, cannot have."""
    return Observation(name, subject, f"not measured: {why}")
