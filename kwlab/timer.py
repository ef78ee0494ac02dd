"""Kernel timers: a callback that runs once, some jiffies from now, in timer context (it must not sleep).

The runtime supplies the time and calls `TimerBase.run_expired`. Two locks, and an order between them:
`expiry_lock` is held while a callback runs, and is taken before any lock that the callback takes; `lock` guards the
list of pending timers and which one is running, and is held for moments only. `timer_delete_sync` waits for a running
callback by passing through `expiry_lock`; so whoever calls it must hold no lock that the callback needs. (The kernel
spins on the running timer instead, and takes an expiry lock on PREEMPT_RT.)

Mirrors kernel/time/timer.c, Linux 6.18. Order among timers that expire in the same jiffy: as armed.
"""

from collections.abc import Callable
from typing import Any

from kwlab.bug import WARN_ON, issue_warnings, noted
from kwlab.runtime.base import Runtime, Task
from kwlab.runtime.clock import HZ
from kwlab.runtime.interrupts import interruptible
from kwlab.sched import (
    TASK_INTERRUPTIBLE,
    TASK_RUNNING,
    TASK_UNINTERRUPTIBLE,
    current,
    irqs_disabled,
    wake_up_process,
)
from kwlab.struct import Struct, container_of

__all__ = [
    "HZ",
    "MAX_JIFFY_OFFSET",
    "TIMER_IRQSAFE",
    "TimerBase",
    "TimerList",
    "add_timer",
    "jiffies",
    "jiffies_to_msecs",
    "mod_timer",
    "msecs_to_jiffies",
    "msleep",
    "schedule_timeout",
    "schedule_timeout_interruptible",
    "schedule_timeout_uninterruptible",
    "timer_delete",
    "timer_delete_sync",
    "timer_pending",
    "timer_setup",
]

TIMER_IRQSAFE = 0x00200000
MAX_JIFFY_OFFSET = (2**63 - 1 >> 1) - 1


class TimerList(Struct):
    """``struct timer_list``: when (`expires`, jiffies) to call what (`function`, with this timer)."""

    __slots__ = ("base", "expires", "flags", "function")

    base: Any  # the TimerBase it is pending on, else None (the kernel: `entry.pprev`)
    expires: int
    function: Any
    flags: int

    def __init__(self) -> None:
        self._container = self._shadow = None
        self.base = self.function = None
        self.expires = self.flags = 0


class TimerBase:
    """The pending timers of one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.lock = runtime.spin_lock("timer_base.lock")
        self.expiry_lock = runtime.spin_lock("timer_base.expiry_lock")
        self.pending: list[TimerList] = []
        self.running: TimerList | None = None

    def enqueue(self, timer: TimerList, expires: int) -> None:
        """Under `lock`: make `timer` pending, behind those that expire no later."""
        timer.expires, timer.base = expires, self
        place = len(self.pending)
        while place and self.pending[place - 1].expires > expires:
            place -= 1
        self.pending.insert(place, timer)
        self._program()

    def detach(self, timer: TimerList) -> bool:
        """Under `lock`: make `timer` not pending; True if it was."""
        if timer.base is not self:
            return False
        timer.base = None
        self.pending.remove(timer)
        self._program()
        return True

    def _program(self) -> None:
        self.runtime.program_timer(self.pending[0].expires if self.pending else None, self.run_expired)

    def _due(self, now: int) -> bool:
        return bool(self.pending) and self.pending[0].expires <= now

    def run_expired(self, now: int) -> None:
        """Run every timer that is due at `now` (jiffies). Called by the runtime, in timer context."""
        more = True
        while more:
            with self.expiry_lock:
                with self.lock:
                    if not self._due(now):
                        self._program()
                        return
                    timer = self.pending[0]
                    self.detach(timer)
                    self.running = timer
                    # Read before the call: the callback may free the timer.
                    function = timer.function
                try:
                    call_timer_fn(function, timer)
                finally:
                    # Whoever armed a timer meanwhile has set the device to it: if no more is due now we are done.
                    with self.lock:
                        self.running = None
                        more = self._due(now)


@interruptible
def call_timer_fn(function: Callable[[TimerList], None], timer: TimerList) -> None:
    """The callback; what it raises is an oops of the timer, and the other timers go on."""
    try:
        function(timer)
    except Exception as error:
        current().runtime.oops(f"timer callback {getattr(function, '__name__', function)} failed", error)


def _base(runtime: Runtime) -> TimerBase:
    base: TimerBase | None = runtime.timer_base
    if base is None:
        base = runtime.timer_base = TimerBase(runtime)
    return base


def jiffies() -> int:
    """The time of the current runtime, in jiffies (1/HZ s) since it was made."""
    return current().runtime.jiffies()


def msecs_to_jiffies(msecs: int) -> int:
    """Milliseconds to jiffies, rounded up. Negative means for ever, as in the kernel (include/linux/jiffies.h)."""
    if msecs < 0:
        return MAX_JIFFY_OFFSET
    return min(-(-msecs * HZ // 1000), MAX_JIFFY_OFFSET)


def jiffies_to_msecs(count: int) -> int:
    """Jiffies to milliseconds."""
    return count * 1000 // HZ


def timer_setup(timer: TimerList, function: Callable[[TimerList], None] | None, flags: int = 0) -> None:
    """Prepare `timer` to call ``function(timer)``. Not for a pending timer."""
    if timer.base is not None:
        raise RuntimeError(
            "timer_setup() on a pending timer would corrupt the timer list: timer_delete_sync() it first"
        )
    timer.function, timer.flags, timer.expires = function, flags, 0


def timer_pending(timer: TimerList) -> bool:
    """True from arming until the callback is about to run, or the timer is deleted."""
    return timer.base is not None


def mod_timer(timer: TimerList, expires: int) -> bool:
    """Arm `timer` for `expires` (absolute, jiffies), pending or not; True if it was pending.

    Errors: `ValueError` if no function was set by `timer_setup`.
    """
    if timer.function is None:
        raise ValueError("this timer has no function: call timer_setup(timer, function) before arming it")
    base = _base(current().runtime)
    with base.lock:
        was_pending = base.detach(timer)
        base.enqueue(timer, expires)
    return was_pending


def add_timer(timer: TimerList) -> None:
    """Arm `timer` for the `expires` that it carries."""
    mod_timer(timer, timer.expires)


def timer_delete(timer: TimerList) -> bool:
    """Disarm `timer`; True if it was pending. Its callback may be running still."""
    base = _base(current().runtime)
    with base.lock:
        return base.detach(timer)


def timer_delete_sync(timer: TimerList) -> bool:
    """Disarm `timer` and wait until its callback is not running; True if it was pending.

    Context: hold no lock that the callback takes, and do not call it from the callback: it would wait for itself.
    With interrupts off only for a TIMER_IRQSAFE timer (a WARN otherwise): the callback could be waiting for them.
    """
    was_pending = __timer_delete_sync(timer)
    if noted:
        issue_warnings()
    return was_pending


def __timer_delete_sync(timer: TimerList) -> bool:
    """`timer_delete_sync` for callers that are not done yet: they issue its warning at their own end."""
    WARN_ON(irqs_disabled() and not timer.flags & TIMER_IRQSAFE, "timer_delete_sync: interrupts are off, not IRQSAFE")
    base = _base(current().runtime)
    while True:
        with base.lock:
            was_pending = base.detach(timer)
            if base.running is not timer:
                return was_pending
        with base.expiry_lock:
            pass  # the callback has ended; it may have armed the timer again, so look again


class _ProcessTimer(Struct):
    __slots__ = ("task", "timer")

    timer: TimerList
    task: Task | None


def _process_timeout(timer: TimerList) -> None:
    task = container_of(timer, _ProcessTimer, "timer").task
    if task is not None:
        wake_up_process(task)


def schedule_timeout(timeout: int) -> int:
    """Sleep in the announced state until woken, at most `timeout` jiffies; returns the jiffies that were left.

    Mirrors kernel/time/sleep_timeout.c.
    """
    if timeout < 0:
        raise ValueError(f"schedule_timeout({timeout}): a timeout is 0 or more jiffies")
    me = current()
    sleeper = _ProcessTimer()
    sleeper.task = me
    timer_setup(sleeper.timer, _process_timeout)
    expires = me.runtime.jiffies() + timeout
    mod_timer(sleeper.timer, expires)
    try:
        me.schedule()
    finally:
        me.state = TASK_RUNNING
        timer_delete_sync(sleeper.timer)
    return max(expires - me.runtime.jiffies(), 0)


def schedule_timeout_interruptible(timeout: int) -> int:
    """`schedule_timeout` in TASK_INTERRUPTIBLE."""
    current().set_current_state(TASK_INTERRUPTIBLE)
    return schedule_timeout(timeout)


def schedule_timeout_uninterruptible(timeout: int) -> int:
    """`schedule_timeout` in TASK_UNINTERRUPTIBLE."""
    current().set_current_state(TASK_UNINTERRUPTIBLE)
    return schedule_timeout(timeout)


def msleep(msecs: int) -> None:
    """Sleep for at least `msecs` milliseconds, whoever wakes us."""
    left = msecs_to_jiffies(msecs)
    while left:
        left = schedule_timeout_uninterruptible(left)
