"""The protocol between the worker's source and what runs it.

One source, several worlds: real threads (`kwlab.runtime.threads`) or a model that explores interleavings. A runtime
*makes* the primitives and they carry its methods, so there is no global runtime and no dispatch per call. The one
look-up is `local.task`: which task is this OS thread (or greenlet) at this moment?

What every runtime promises:

* a spinlock has one holder, known by name; nobody sleeps while holding one;
* a task that announced a sleep (`state` not TASK_RUNNING) and calls `schedule` stays asleep until a wake-up;
  a wake-up changes a state and is kept by nobody: it does nothing to a task that is TASK_RUNNING;
* a new task is born asleep in TASK_UNINTERRUPTIBLE and runs nothing before its first wake-up.
"""

import threading
from collections.abc import Callable
from typing import Any, Literal, Protocol

__all__ = ["Bits", "Completion", "Probe", "Probes", "Runtime", "SpinLock", "Task", "TimerInterrupt", "local", "probes"]

TimerInterrupt = Callable[[int], None]

# `local.task` is the current Task of this OS thread; `local.runtime` the runtime that adopts a foreign thread.
local = threading.local()

Probe = Callable[[str, Any, dict[str, Any]], None]


class Probes(list[Probe]):
    """Who is called as ``probe(event, subject, fields)`` at every event of the primitives: nobody, unless one traces.

    Most places ask ``if probes:``. For the hottest of all, the locks, even that is dear: they register a `switch`,
    which is called with True before the first probe comes and with False after the last has gone, and put a traced
    version of themselves in place meanwhile. The kernel does the same with jump labels (kernel/jump_label.c).
    """

    def __init__(self) -> None:
        self.switches: list[Callable[[bool], None]] = []

    def append(self, probe: Probe) -> None:
        if not self:
            self._turn(True)
        super().append(probe)

    def remove(self, probe: Probe) -> None:
        super().remove(probe)
        if not self:
            self._turn(False)

    def _turn(self, on: bool) -> None:
        for switch in self.switches:
            switch(on)


probes = Probes()


class SpinLock(Protocol):
    """A lock with a known holder; ``with lock:`` is ``raw_spin_lock_irqsave`` to ``..irqrestore``.

    `acquire` and `release` are its two halves, for the two sections that every work passes through.
    """

    name: str

    @property
    def free(self) -> object:
        """True while nobody holds the lock."""

    def acquire(self) -> Any: ...
    def release(self) -> None: ...
    def __enter__(self) -> Any: ...
    def __exit__(self, kind: object, error: object, traceback: object) -> None: ...
    def assert_held(self) -> None:
        """Raise `LockingError` unless the current task holds the lock (``lockdep_assert_held``)."""

    @property
    def holder(self) -> "Task | None":
        """The task that holds the lock now."""


class Completion(Protocol):
    """``struct completion``: a counter that waiters take from and `complete` adds to."""

    name: str

    def complete(self) -> None: ...
    def complete_all(self) -> None: ...
    def wait(self) -> None:
        """Sleep in TASK_UNINTERRUPTIBLE until there is one to take, and take it."""

    def try_wait(self) -> bool: ...
    def done(self) -> bool: ...


class Bits(Protocol):
    """A word of flags changed by atomic bit operations, without a lock."""

    def test_bit(self, bit: int) -> bool: ...
    def set_bit(self, bit: int) -> None: ...
    def clear_bit(self, bit: int) -> None: ...


class Task(Protocol):
    """``struct task_struct``, as far as a worker needs it."""

    name: str  # the full name, as printf made it
    state: int  # assigning is the plain store; reading needs no lock
    kthread: Any  # kwlab.kthread.Kthread, None for a thread that kwlab did not make
    kept: list[str] | None  # where warnings wait if nobody called this thread; None in a caller's thread
    irqs_off: int  # how many `local_irq_save` sections the task is inside
    usage: int  # who keeps the task_struct alive behind its exit; others may change it
    epoch: Any  # what a race detector keeps of the task, None where there is none
    flags: int  # PF_* bits, set by the owner before the first wake-up or by the task itself

    @property
    def runtime(self) -> "Runtime": ...
    @property
    def pid(self) -> int:
        """The thread's kernel id (TID), or the model's number."""

    @property
    def comm(self) -> str:
        """The first 15 characters of the name: all that fits in ``task_struct::comm``."""

    def set_current_state(self, state: int) -> None:
        """Announce `state`: a store and a full memory barrier. Only for the current task itself."""

    def schedule(self) -> None:
        """Sleep while the state is not TASK_RUNNING. Only for the current task itself."""

    def wake_up(self, states: int) -> int:
        """If the task is in one of `states`, make it TASK_RUNNING and return 1; else return 0."""

    def cond_resched(self) -> None: ...
    def read_once(self, struct: Any, field: str) -> Any:
        """``READ_ONCE(struct->field)``. Only for the current task itself."""

    def write_once(self, struct: Any, field: str, value: Any) -> None:
        """``WRITE_ONCE(struct->field, value)``. Only for the current task itself."""

    def freezing(self) -> bool:
        """True if a freeze is under way and this task takes part in it."""


class Runtime(Protocol):
    """Makes the primitives, keeps the time, and hears of trouble."""

    on_deadlock: Literal["raise", "wait"]
    timer_base: Any  # kwlab.timer.TimerBase, made on first use
    freeze_in_progress: bool
    log: Any  # kwlab.runtime.reports.KernelLog

    def spin_lock(self, name: str) -> SpinLock: ...
    def completion(self, name: str) -> Completion: ...
    def bits(self) -> Bits: ...
    def spawn(self, entry: Callable[[], None], name: str) -> Task:
        """A new task, asleep in TASK_UNINTERRUPTIBLE; its first wake-up starts `entry`."""

    def tasks(self) -> list[Task]:
        """The tasks made by `spawn` that have not ended."""

    def set_affinity(self, task: Task, cpus: frozenset[int]) -> None: ...
    def set_nice(self, task: Task, nice: int) -> None: ...
    def set_fifo(self, task: Task, priority: int) -> None: ...

    def jiffies(self) -> int: ...
    def program_timer(self, expires: int | None, interrupt: TimerInterrupt) -> None:
        """Call ``interrupt(now)`` once `expires` (jiffies) is reached; ``None`` switches the device off."""

    def warn(self, message: str) -> None:
        """A WARN happened in the current task: note it, do not raise."""

    def oops(self, message: str, error: BaseException) -> None:
        """The current task's callback raised `error`."""

    def printk(self, message: str) -> None: ...
