"""Medians and how far to trust them."""

import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["TAIL", "bootstrap", "median", "middle_mean", "paired", "percentile", "spread"]

RESAMPLES = 2000
CONFIDENCE = 0.95
TAIL = (50, 99, 99.9)  # the percentiles that are told of waits: late answers are what a driver suffers from

median = statistics.median


def bootstrap(values: Sequence[float], seed: int = 7) -> tuple[float, float]:
    """The 95 % interval of the median of `values`: medians of samples drawn from them again and again.

    The same values give the same interval. Errors: `ValueError` for no values.
    """
    if not values:
        raise ValueError("bootstrap() needs at least one value")
    draw = random.Random(seed)
    medians = sorted(median(draw.choices(values, k=len(values))) for _ in range(RESAMPLES))
    cut = int((1 - CONFIDENCE) / 2 * RESAMPLES)
    return medians[cut], medians[-1 - cut]


def middle_mean(values: Sequence[float]) -> float:
    """The mean of `values` without the lowest and the highest quarter (the interquartile mean)."""
    quarter = len(values) // 4
    return statistics.fmean(sorted(values)[quarter : len(values) - quarter])


def percentile(values: Sequence[float], part: float) -> float:
    """The smallest of `values` that at least `part` per cent of them do not exceed."""
    if not values or not 0 < part <= 100:
        raise ValueError(f"percentile({len(values)} values, {part}): needs values, and a part above 0 up to 100")
    rank = round(part / 100 * len(values), 6)  # 99.9 per cent of 1000 are 999, but not in binary
    return sorted(values)[math.ceil(rank) - 1]


def spread(rounds: Sequence[Sequence[float]]) -> dict[str, Any]:
    """All values of all rounds: their number, the percentiles of `TAIL` ("p99"), and in `percent` those of 1 to 100."""
    values = sorted(value for one in rounds for value in one)
    tail = {f"p{part:g}": percentile(values, part) for part in TAIL}
    return {"values": len(values), **tail, "percent": [percentile(values, part) for part in range(1, 101)]}


def paired(rounds: int, contestants: Mapping[str, Callable[[], float]], turns: int = 1) -> dict[str, list[float]]:
    """Let the contestants measure themselves in turn, `turns` times per round, after one warm-up that does not count.

    The order rotates, so that nobody always comes first, and what disturbs a round disturbs all in it. A contestant's
    value of a round is the median of its turns. Returns each contestant's values, round by round.
    """
    if rounds < 1 or turns < 1:
        raise ValueError(f"paired(rounds={rounds}, turns={turns}): at least one of each")
    names = list(contestants)
    for name in names:
        contestants[name]()
    samples: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        taken: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(turns):
            first = (number + turn) % len(names)
            for name in names[first:] + names[:first]:
                taken[name].append(contestants[name]())
        for name in names:
            samples[name].append(median(taken[name]))
    return samples
