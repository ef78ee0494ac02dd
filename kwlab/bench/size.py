"""How much to measure."""

from dataclasses import dataclass

__all__ = ["FULL", "QUICK", "Size"]


@dataclass(frozen=True)
class Size:
    """Counts of rounds and of things per round."""

    rounds: int = 15
    turns: int = 3
    works: int = 15_000
    wakes: int = 200
    queued: int = 10_000
    births: int = 200
    workers: int = 1_000
    many: int = 1_000_000
    few: int = 10_000
    growth_rounds: int = 3
    steps: int = 200_000
    explored: int = 200
    probes: int = 70
    levels: tuple[int, ...] = (0, 4, 8, 16, 32)  # works of noisy neighbours
    ordered: int = 100
    again: int = 10_000
    gil_probes: int = 12
    busy_probes: int = 20


FULL = Size()
QUICK = Size(
    rounds=12,
    turns=1,
    works=7_000,
    wakes=20,
    queued=1_000,
    births=40,
    workers=100,
    many=20_000,
    growth_rounds=3,
    steps=20_000,
    explored=40,
    probes=10,
    levels=(0, 16),
    again=1_000,
    gil_probes=1,
    busy_probes=2,
)
