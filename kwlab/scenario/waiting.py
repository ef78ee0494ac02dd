"""How the main thread of a scenario waits: until all others sleep, then until virtual time brings what it wants."""

from collections.abc import Callable
from typing import Any, Protocol

from kwlab.runtime.base import Runtime
from kwlab.scenario.language import HANG
from kwlab.scenario.stage import Stage, about_to_look
from kwlab.sched import task_state_to_char

__all__ = ["Hang", "SteppedRuntime", "Waiting"]


class SteppedRuntime(Runtime, Protocol):
    """What a runtime needs, beside the primitives, to play scenarios."""

    @property
    def clock(self) -> Any:
        """Has ``step(jiffies)``: lets that much time pass and runs the timers that fall due."""

    def settle(self) -> None:
        """Return when every task but the caller sleeps; `TimeoutError` if that does not come about."""

    # A runtime that explores other orders than the one that comes about has two more methods, see
    # `kwlab.scenario.stage`: ``look()``, ``common()``.


class Hang(BaseException):
    """The scenario cannot go on. Not an Exception: no step may take it for an answer."""


class Waiting:
    """Waits for what happens on `stage`; a wait that can never end is a `Hang`."""

    def __init__(self, runtime: SteppedRuntime, stage: Stage) -> None:
        self.runtime, self.stage = runtime, stage

    def settle(self) -> None:
        """Wait until every other task sleeps."""
        try:
            self.runtime.settle()
        except TimeoutError as error:
            raise Hang(str(error)) from None

    def pass_time(self, condition: Callable[[], bool], jiffies: int) -> bool:
        """Let things happen until `condition` holds, and time pass, while everybody sleeps, up to `jiffies`."""
        self.settle()
        while jiffies and not condition():
            base = self.runtime.timer_base
            due = base.pending[0].expires - self.runtime.jiffies() if base and base.pending else jiffies
            step = min(max(due, 1), jiffies)
            self.runtime.clock.step(step)
            jiffies -= step
            self.settle()
        return condition()

    def wait(self, where: str, condition: Callable[[], bool]) -> None:
        """Wait for `condition`, as long as there is any hope."""
        if not self.pass_time(condition, HANG):
            raise Hang(f"{where}: waits for ever ({self._who_waits_where()})")

    def locks_are_free(self, where: str) -> None:
        """The main thread must not spin on a lock whose holder went to sleep with it."""
        about_to_look(self.runtime)
        for worker in self.stage.live_workers():
            if worker.item.lock.holder is not None:
                self.settle()
                if (holder := worker.item.lock.holder) is not None:
                    raise Hang(
                        f"{where}: {holder.name} sleeps with the lock of {worker.name} ({self._who_waits_where()})"
                    )

    def _who_waits_where(self) -> str:
        tasks = [
            f"{task.name} sleeps in state {task_state_to_char(task.state)} {self.stage.doing.get(task, 'with no work')}"
            for task in self.runtime.tasks()
        ]
        return "; ".join(tasks) or "no other thread is left"
