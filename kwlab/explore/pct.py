"""Probabilistic concurrency testing: chance, used sparingly (Burckhardt, Kothari, Musuvathi and Nagarakatte, 2010).

Every task has a random priority, and the enabled task of the highest runs. At a few random steps the task that runs
falls behind all others. A bug that shows as soon as `depth` things come in a certain order is met in one execution
with a probability of at least 1 / (n * k ** (depth - 1)), for n tasks and k steps, however many other choices there
are: a lost wake-up has depth 2.
"""

import random

from kwlab.explore.strategy import enough
from kwlab.runtime.model import Ending, ModelRuntime
from kwlab.runtime.model_objects import ModelTask

__all__ = ["Pct"]


class Pct:
    """`executions` interleavings with ``depth - 1`` changes of priority each; the same `seed` gives the same ones."""

    every_step = True
    states = 0

    def __init__(self, depth: int = 3, seed: int = 0, executions: int = 10_000) -> None:
        """Errors: `ValueError` for a depth or a number of executions less than one."""
        self.depth = enough("Pct", depth=depth)
        self.seed = seed
        self.executions = enough("Pct", executions=executions)
        self._left = executions
        self._random = random.Random(seed)
        self._longest = 1  # k: how many steps the executions had so far
        self._fair_from = 0
        self._priority: list[float] = []  # by task number; higher than any that a change gives
        self._changes: dict[int, int] = {}
        self._step = 0

    def begin(self, runtime: ModelRuntime) -> None:
        self._left -= 1
        self._fair_from = runtime.limit // 2
        self._priority = []
        self._changes = {self._random.randrange(self._longest): change for change in range(1, self.depth)}
        self._step = 0

    def choose(self, enabled: list[ModelTask], me: ModelTask) -> ModelTask | None:
        step, self._step = self._step, self._step + 1
        if step >= self._fair_from:
            # A task that waits in a loop for others would keep them from running: now everybody gets a turn.
            return enabled[int(self._random.random() * len(enabled))]
        priority = self._priority
        while len(priority) <= max(task.id for task in enabled):
            priority.append(self.depth + self._random.random())
        change = self._changes.get(step)
        if change is not None:
            priority[max(enabled, key=lambda task: priority[task.id]).id] = change
        return max(enabled, key=lambda task: priority[task.id])

    def end(self, ending: Ending) -> bool:
        self._longest = max(self._longest, min(self._step, self._fair_from))
        return self._left > 0

    def guarantee(self) -> str:
        return f"{self.executions:,} interleavings by PCT, depth {self.depth}, seed {self.seed}"
