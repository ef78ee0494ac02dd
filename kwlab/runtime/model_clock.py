"""Virtual time, as one more task of the model.

Time stands still while tasks run, and goes on in leaps: from where it is to the next expiry of an armed timer. The
timer device is a task whose next operation is possible while a timer is armed. Chosen for the first time it lets the
time come; chosen again it delivers the interrupt. Both are choices among all that could happen, so everything is
covered: tasks that are done long before the timer, a timer that is served in time, one that is served late, and tasks
that look at the clock in between. One limit: between two expiries time does not pass by halves, so two timers that
are armed within the same leap count from the same moment.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from kwlab.runtime.base import TimerInterrupt
from kwlab.runtime.model_ops import CLOCK, DEVICE, PROGRAM

if TYPE_CHECKING:
    from kwlab.runtime.model import ModelRuntime

__all__ = ["Device", "ModelClock"]


class Device:
    """A task that is no thread: hardware that acts by itself whenever it is `ready` and chosen."""

    name = "device"

    def __init__(self, runtime: "ModelRuntime") -> None:
        self.runtime = runtime

    def ready(self) -> bool:
        """True if it could act now. Nothing may change here."""
        raise NotImplementedError

    def act(self) -> None:
        """One step; runs as the device's task and may take spinlocks, but must not sleep."""
        raise NotImplementedError

    def live(self) -> None:
        """The device's task: a step whenever it is chosen, for ever."""
        task = self.runtime.running
        while True:
            self.act()
            self.runtime.announce(DEVICE, self)
            assert task is self.runtime.running


class ModelClock(Device):
    """The clock and the timer device."""

    name = "timer interrupt"

    def __init__(self, runtime: "ModelRuntime") -> None:
        super().__init__(runtime)
        self.key = runtime.new_key()
        self.now = 0
        self.expires: int | None = None
        self.interrupt: Callable[[int], None] | None = None
        self._attached = False

    def ready(self) -> bool:
        return self.expires is not None

    def act(self) -> None:
        assert self.expires is not None
        if self.now < self.expires:
            self.now = self.expires
            return
        self.expires = None
        if self.interrupt is not None:
            self.interrupt(self.now)

    def jiffies(self) -> int:
        """A look at the clock; time may come before it."""
        if self.runtime.running is not None:
            self.runtime.announce(CLOCK, self)
        return self.now

    def program(self, expires: int | None, interrupt: TimerInterrupt) -> None:
        """Set the device to `expires`; nothing happens if that is what it is set to."""
        self.interrupt = interrupt
        self.runtime.aside(PROGRAM, self)
        if expires == self.expires:
            return
        self.runtime.announce(PROGRAM, self, expires)
        self.expires = expires
        if not self._attached:
            self._attached = True
            self.runtime.attach(self)
