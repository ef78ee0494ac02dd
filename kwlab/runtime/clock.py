"""Jiffies, and the device that interrupts when a timer is due.

`RealClock` counts milliseconds and has a thread that sleeps until the next expiry. `SteppedClock` stands still until
somebody steps it, and then runs what falls due in the stepper's thread: tests of delays take no time.
"""

import threading
import time
from typing import Protocol

from kwlab.runtime.base import TimerInterrupt

__all__ = ["HZ", "Clock", "RealClock", "SteppedClock"]

HZ = 1000  # jiffies per second


class Clock(Protocol):
    def jiffies(self) -> int: ...
    def program(self, expires: int | None, interrupt: TimerInterrupt) -> None: ...
    def close(self) -> None: ...


class RealClock:
    """Wall time. The interrupts come from one daemon thread, started when the first timer is armed."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._changed = threading.Condition()
        self._expires: int | None = None
        self._interrupt: TimerInterrupt | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def jiffies(self) -> int:
        return int((time.monotonic() - self._start) * HZ)

    def program(self, expires: int | None, interrupt: TimerInterrupt) -> None:
        with self._changed:
            self._expires, self._interrupt = expires, interrupt
            if self._thread is None and expires is not None:
                self._thread = threading.Thread(target=self._run, name="ktimers/0", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (self._expires is None or self._expires > self.jiffies()):
                    late = None if self._expires is None else self._start + self._expires / HZ - time.monotonic()
                    self._changed.wait(late if late is None else min(max(late, 0.0), threading.TIMEOUT_MAX))
                if self._closed:
                    return
                self._expires = None
                interrupt = self._interrupt
            if interrupt is not None:
                interrupt(self.jiffies())

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(5)


class SteppedClock:
    """Time that passes when told: `step` runs every timer that falls due on the way, in order."""

    def __init__(self) -> None:
        self._now = 0
        self._expires: int | None = None
        self._interrupt: TimerInterrupt | None = None

    def jiffies(self) -> int:
        return self._now

    def program(self, expires: int | None, interrupt: TimerInterrupt) -> None:
        self._expires, self._interrupt = expires, interrupt

    def step(self, jiffies: int) -> None:
        """Let `jiffies` pass."""
        if jiffies < 0:
            raise ValueError(f"time cannot go back: step({jiffies})")
        until = self._now + jiffies
        while self._expires is not None and self._expires <= until and self._interrupt is not None:
            self._now = max(self._now, self._expires)
            self._expires = None
            self._interrupt(self._now)
        self._now = until

    def close(self) -> None:
        self._expires = self._interrupt = None
