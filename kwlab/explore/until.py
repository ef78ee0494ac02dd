"""The strategy of the game of being the scheduler: follow a schedule, then look around."""

from collections.abc import Sequence
from typing import Any

from kwlab.explore.dependency import accesses_of, independent
from kwlab.explore.replay import Follow
from kwlab.runtime.model import Ending, ModelRuntime
from kwlab.runtime.model_objects import ModelTask

__all__ = ["FAR", "Until"]

FAR = 300  # steps that the others are followed, looking for a collision


class Until:
    """The strategy that follows a schedule and looks around at its end: who can go on, and would `of` collide?"""

    every_step = True
    states = 0

    def __init__(self, schedule: Sequence[int], of: int | None = None, first: int | None = None) -> None:
        """Of the tasks other than `of` the one numbered `first` goes as far as it can before the rest does."""
        self.follow = Follow(list(schedule))
        self.length = len(schedule)
        self.of, self.first = of, first
        self.enabled: tuple[int, ...] = ()
        self.collides = False
        # What happened to each task and to each object, folded: equal wherever colliding steps came in the same order.
        self.tasks: dict[int, int] = {}
        self.objects: dict[int, tuple[int, Any]] = {}

    def begin(self, runtime: ModelRuntime) -> None:
        self.runtime = runtime
        self.follow.begin(runtime)

    def choose(self, enabled: list[ModelTask], me: ModelTask) -> ModelTask | None:
        taken = len(self.runtime.schedule)
        if taken < self.length:
            chosen = self.follow.choose(enabled, me)
            self._fold(chosen)
            return chosen
        if taken == self.length:
            self.enabled = tuple(task.id for task in enabled)
        if self.of is None or self.of not in self.enabled or taken > self.length + FAR:
            return None
        others = [task for task in enabled if task.id != self.of]
        if not others:
            return None
        chosen = next((task for task in others if task.id == self.first), me if me in others else others[0])
        self.collides = not independent(accesses_of(self.runtime.all_tasks[self.of]), accesses_of(chosen))
        return None if self.collides else chosen

    def _fold(self, task: ModelTask) -> None:
        seen, _ = self.objects.get(id(task.target), (0, None))
        folded = hash((self.tasks.get(task.id, task.id), task.op, seen))
        self.tasks[task.id] = folded
        self.objects[id(task.target)] = folded, task.target  # kept, so that no other object gets its id

    @property
    def fingerprint(self) -> int:
        return hash(frozenset(self.tasks.items()))

    def end(self, ending: Ending) -> bool:
        return False

    def guarantee(self) -> str:
        return "one interleaving"
