"""What a scenario's main thread needs under the model: to wait until everybody else sleeps, and time that it steps."""

from functools import partial
from typing import Any

from kwlab.runtime.base import local
from kwlab.runtime.model import ModelRuntime
from kwlab.runtime.model_clock import Device, ModelClock
from kwlab.runtime.model_objects import ModelTask
from kwlab.runtime.model_ops import DEVICE, LOCK, PROGRAM, READ, SCHEDULE, WAIT, WRITE

__all__ = ["Everything", "Quiet", "Served", "SteppedModelClock", "served", "settle", "stepped"]


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


class Everything:
    """What is looked at by a look of which nobody says at what it is."""

    name = "what others may be changing"


class SteppedModelClock(ModelClock):
    """Time stands still until somebody steps it, who then runs what falls due: no device acts by itself."""

    def __init__(self, runtime: ModelRuntime) -> None:
        super().__init__(runtime)
        self._attached = True

    def step(self, jiffies: int) -> None:
        """Let `jiffies` pass."""
        until = self.now + jiffies
        while self._due(until) and self.interrupt is not None:
            assert self.expires is not None
            self._come(max(self.now, self.expires))
            self.runtime.aside(WRITE, self.key + 1)
            self.expires = None
            self.interrupt(self.now)
        self._come(until)

    def _due(self, until: int) -> bool:
        self.runtime.aside(PROGRAM, self)
        return self.expires is not None and self.expires <= until

    def _come(self, now: int) -> None:
        if now != self.now:
            self.runtime.aside(WRITE, self.key)
            self.now = now


def stepped(runtime: Any) -> None:
    """Make `runtime`, before it runs, one that plays scenarios: with a clock to step, and with `settle()`, `look()` and
    `common()` (see `kwlab.scenario.stage`)."""
    runtime.clock = SteppedModelClock(runtime)
    runtime.settle = partial(_settle, runtime, Quiet(runtime))
    runtime.look = partial(runtime.announce, READ, Everything())
    runtime.common = partial(runtime.aside, WRITE, runtime.new_key())


def _settle(runtime: ModelRuntime, quiet: Quiet) -> None:
    runtime.announce(DEVICE, quiet)


def settle() -> None:
    """In a scenario under the model: wait until nobody else can go on."""
    runtime = local.task.runtime
    runtime.announce(DEVICE, Quiet(runtime))


def served() -> None:
    """In a scenario under the model: wait until no timer interrupt is under way.

    Behind a timer's callback an interrupt takes the lock of the timers once more, to say that it is over. Whenever that
    is nobody notices who does not ask, so to wait here leaves nothing out, and spares a search all those ways.
    """
    runtime = local.task.runtime
    runtime.announce(DEVICE, Served(runtime))
