"""Honest figures: medians of paired rounds with an interval, and the machine they come from."""

import os
import platform
import random
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Figure", "bootstrap", "machine"]


def bootstrap(values: Sequence[float], seed: int = 7, rounds: int = 2000) -> tuple[float, float]:
    """The 95 % bootstrap interval of the median of `values`."""
    if not values:
        raise ValueError("bootstrap() of no values")
    chooser = random.Random(seed)
    medians = sorted(statistics.median(chooser.choices(values, k=len(values))) for _ in range(rounds))
    return medians[int(0.025 * rounds)], medians[int(0.975 * rounds) - 1]


@dataclass(frozen=True)
class Figure:
    """One ratio, worker against the other, measured in paired rounds; 1 is a draw."""

    name: str
    question: str
    ratios: list[float]
    higher_is_better: bool
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)

    @property
    def interval(self) -> tuple[float, float]:
        return bootstrap(self.ratios)

    @property
    def winner(self) -> str | None:
        """`worker` or `other`; None while a draw lies inside the interval."""
        low, high = self.interval
        if low <= 1 <= high:
            return None
        return "worker" if (low > 1) == self.higher_is_better else "other"

    def sentence(self) -> str:
        """The conclusion, from the data."""
        low, high = self.interval
        verdict = {"worker": "the worker wins", "other": "the other wins", None: "no difference beyond the noise"}
        return f"{self.question}: {self.median:.2f} ({low:.2f} to {high:.2f}), {verdict[self.winner]}."

    def as_json(self) -> dict[str, Any]:
        low, high = self.interval
        worst = min(self.ratios) if self.higher_is_better else max(self.ratios)
        more = {"median": self.median, "worst": worst, "interval": [low, high], "winner": self.winner}
        return {**asdict(self), **more, "sentence": self.sentence()}


def machine() -> dict[str, Any]:
    """What the figures come from."""
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    return {
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "gil": gil,
        "switch_interval": sys.getswitchinterval(),
    }
