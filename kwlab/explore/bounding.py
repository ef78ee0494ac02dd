"""Few preemptions first: what goes wrong with one switch at the wrong moment is shown with one.

A preemption takes the CPU from a task that could have gone on. Most bugs need one or two of them at the right place,
so a search that allows none, then one, then two finds them early, and the schedule that it finds has as few as can be.
"""

import time

from kwlab.explore.merging import Merging
from kwlab.runtime.model import Ending, ModelRuntime
from kwlab.runtime.model_objects import ModelTask

__all__ = ["CompleteFirst", "IterativeBounding"]


class IterativeBounding:
    """All interleavings with no preemption, then with at most one, and so on: up to `limit`, or until that is all."""

    every_step = False

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.bound = 0
        self.finished: Merging | None = None  # of the highest bound that was searched through
        self._search = Merging(0)
        self._earlier = 0

    @property
    def states(self) -> int:
        return self._earlier + self._search.states

    @property
    def opaque(self) -> list[str]:
        return self._search.opaque

    def begin(self, runtime: ModelRuntime) -> None:
        self._search.begin(runtime)

    def choose(self, enabled: list[ModelTask], me: ModelTask) -> ModelTask | None:
        return self._search.choose(enabled, me)

    def end(self, ending: Ending) -> bool:
        if self._search.end(ending):
            return True
        self.finished = self._search
        if not self._search.cut or self.bound == self.limit:
            return False
        self._earlier += self._search.states
        self.bound += 1
        self._search = Merging(self.bound)
        return True

    def guarantee(self) -> str:
        return self.finished.guarantee() if self.finished is not None else ""


class CompleteFirst:
    """What `check` does by itself: all states, if they are not too many; else iterative bounding with what is left.

    The first part may take two thirds of the `executions` and of the `seconds` that there are.
    """

    every_step = False

    def __init__(self, executions: int, seconds: float | None = None) -> None:
        self._left = executions * 2 // 3
        self._deadline = time.perf_counter() + seconds * 2 / 3 if seconds is not None else float("inf")
        self._complete = Merging()
        self._bounded: IterativeBounding | None = None
        self._search: Merging | IterativeBounding = self._complete

    @property
    def states(self) -> int:
        return self._complete.states + (self._bounded.states if self._bounded is not None else 0)

    @property
    def opaque(self) -> list[str]:
        return self._complete.opaque

    def begin(self, runtime: ModelRuntime) -> None:
        self._search.begin(runtime)

    def choose(self, enabled: list[ModelTask], me: ModelTask) -> ModelTask | None:
        return self._search.choose(enabled, me)

    def end(self, ending: Ending) -> bool:
        more = self._search.end(ending)
        self._left -= 1
        if more and self._bounded is None and (self._left <= 0 or time.perf_counter() > self._deadline):
            self._search = self._bounded = IterativeBounding()
        return more

    def guarantee(self) -> str:
        """Also what is known before the end: of the highest bound that was searched through."""
        return self._search.guarantee()
