"""Chance: at every point any enabled task, each as likely as the others."""

import random

from kwlab.explore.strategy import enough
from kwlab.runtime.model import Ending, ModelRuntime
from kwlab.runtime.model_objects import ModelTask

__all__ = ["Random"]


class Random:
    """`executions` random interleavings; the same `seed` gives the same ones.

    Easy bugs are found as soon as by anything; one that needs several unlikely choices in a row hardly ever. Nothing
    is remembered, so some interleavings come again and others never.
    """

    every_step = False
    states = 0

    def __init__(self, seed: int = 0, executions: int = 10_000) -> None:
        """Errors: `ValueError` for less than one execution."""
        self.seed = seed
        self.executions = enough("Random", executions=executions)
        self._left = executions
        self._random = random.Random(seed).random

    def begin(self, runtime: ModelRuntime) -> None:
        self._left -= 1

    def choose(self, enabled: list[ModelTask], me: ModelTask) -> ModelTask | None:
        chance = self._random
        return enabled[int(chance() * len(enabled))]

    def end(self, ending: Ending) -> bool:
        return self._left > 0

    def guarantee(self) -> str:
        return f"{self.executions:,} random interleaving{'' if self.executions == 1 else 's'}, seed {self.seed}"
