"""What a scenario's main thread needs under the model: to wait until everybody else sleeps, and time that it steps."""

from functools import partial
from typing import Any

from kwlab.runtime.base import local
from kwlab.runtime.model import ModelRuntime
from kwlab.runtime.model_clock import Device, ModelClock
from kwlab.runtime.model_objects import ModelTask
from kwlab.runtime.model_ops import DEVICE, LOCK, SCHEDULE, WAIT

__all__ = ["Quiet", "Served", "SteppedModelClock", "served", "settle", "stepped"]


class Quiet(Device):
    """Ready when no thread can go on but the one that waits for this."""

    name = "quiet"

    def ready(self) -> bool:
        return not any(_can_go_on(task) for task in self.runtime.live if task.target is not self)


class Served(Device):
    """Ready when the timer interrupt is not under way; whether a timer is armed is another question."""

    name = "timer served"

    def ready(self) -> bool:
        return all(task.op == DEVICE for task in self.runtime.live if task.name == ModelClock.name)


def _can_go_on(task: ModelTask) -> bool:
    if task.op == LOCK:
        return task.target.owner is None
    if task.op == SCHEDULE:
        return not task._state
    if task.op == WAIT:
        return bool(task.target.count)
    return task.op != DEVICE


class SteppedModelClock(ModelClock):
    """Time stands still until somebody steps it, who then runs what falls due: no device acts by itself."""

    def __init__(self, runtime: ModelRuntime) -> None:
        super().__init__(runtime)
        self._attached = True

    def step(self, jiffies: int) -> None:
        """Let `jiffies` pass."""
        until = self.now + jiffies
        while self.expires is not None and self.expires <= until and self.interrupt is not None:
            self.now = max(self.now, self.expires)
            self.expires = None
            self.interrupt(self.now)
        self.now = until


def stepped(runtime: Any) -> None:
    """Make `runtime`, before it runs, one that plays scenarios: with `settle()` and a clock to step."""
    runtime.clock = SteppedModelClock(runtime)
    runtime.settle = partial(_settle, runtime, Quiet(runtime))


def _settle(runtime: ModelRuntime, quiet: Quiet) -> None:
    runtime.announce(DEVICE, quiet)


def settle() -> None:
    """In a scenario under the model: wait until nobody else can go on."""
    runtime = local.task.runtime
    runtime.announce(DEVICE, Quiet(runtime))


def served() -> None:
    """In a scenario under the model: wait until no timer interrupt is under way.

    An interrupt looks once more before it ends. Where no timer is left it finds nothing, whenever that is, so to wait
    here leaves nothing out, and spares a search all the ways in which that look could come later.
    """
    runtime = local.task.runtime
    runtime.announce(DEVICE, Served(runtime))
