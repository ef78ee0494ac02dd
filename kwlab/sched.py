"""Task states and waking: the few scheduler calls that a worker is made of.

The rule behind all of it: *announce* the sleep (`set_current_state`), *look* for work, then *sleep* (`schedule`).
A waker that comes between the look and the sleep finds the announcement and takes it back, so the sleep does not
happen. A waker that comes before the announcement finds a running task and leaves nothing behind.

Mirrors include/linux/sched.h, kernel/sched/core.c and include/linux/completion.h, Linux 6.18.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kwlab.runtime import threads
from kwlab.runtime.base import Bits, Completion, Runtime, SpinLock, Task, local
from kwlab.runtime.states import (
    PF_NO_SETAFFINITY,
    PF_NOFREEZE,
    TASK_DEAD,
    TASK_FROZEN,
    TASK_IDLE,
    TASK_INTERRUPTIBLE,
    TASK_NORMAL,
    TASK_PARKED,
    TASK_RUNNING,
    TASK_UNINTERRUPTIBLE,
    task_state_to_char,
)

__all__ = [
    "PF_NOFREEZE",
    "PF_NO_SETAFFINITY",
    "READ_ONCE",
    "TASK_DEAD",
    "TASK_FROZEN",
    "TASK_IDLE",
    "TASK_INTERRUPTIBLE",
    "TASK_NORMAL",
    "TASK_PARKED",
    "TASK_RUNNING",
    "TASK_UNINTERRUPTIBLE",
    "WRITE_ONCE",
    "Bits",
    "Completion",
    "Runtime",
    "SpinLock",
    "Task",
    "__set_current_state",
    "complete",
    "complete_all",
    "completion_done",
    "cond_resched",
    "current",
    "init_completion",
    "irqs_disabled",
    "local_irq_save",
    "raw_spin_lock_init",
    "schedule",
    "set_current_state",
    "set_user_nice",
    "sched_set_fifo",
    "sched_set_fifo_low",
    "task_state_to_char",
    "try_wait_for_completion",
    "wait_for_completion",
    "wake_up_process",
    "wake_up_state",
]


def current() -> Task:
    """The task that runs this line. A thread that kwlab did not make becomes a task at its first call."""
    try:
        task: Task = local.task
    except AttributeError:
        task = threads.adopt()
    return task


def set_current_state(state: int) -> None:
    """Announce a sleep in `state`: a store followed by a full memory barrier.

    The barrier orders the announcement before the look for work; without it both a stopper's flag and this store
    could be missed by the other side.
    """
    current().set_current_state(state)


def __set_current_state(state: int) -> None:
    """Store `state` with no barrier: enough for the way back to TASK_RUNNING, where nothing has to be ordered."""
    current().state = state


def schedule() -> None:
    """Sleep until woken, unless the state is TASK_RUNNING (again)."""
    current().schedule()


def cond_resched() -> None:
    """Let others run, if they want to: what keeps a never-empty queue from hogging a CPU."""
    current().cond_resched()


def wake_up_process(task: Task) -> int:
    """Make `task` TASK_RUNNING if it is in TASK_NORMAL; returns 1 if this changed its state, else 0.

    A wake-up is no message: a task that is running is left as it is, and nothing is remembered.
    """
    return task.wake_up(TASK_NORMAL)


def wake_up_state(task: Task, state: int) -> int:
    """As `wake_up_process`, for the given set of states."""
    return task.wake_up(state)


def raw_spin_lock_init(name: str) -> SpinLock:
    """A new spinlock of the current runtime. `name` is what reports call it."""
    return current().runtime.spin_lock(name)


def init_completion(name: str = "completion") -> Completion:
    """A new completion of the current runtime."""
    return current().runtime.completion(name)


def complete(done: Completion) -> None:
    """Add one, and wake one waiter."""
    done.complete()


def complete_all(done: Completion) -> None:
    """Let every waiter through, now and later."""
    done.complete_all()


def wait_for_completion(done: Completion) -> None:
    """Sleep (state D) until there is one to take, and take it."""
    done.wait()


def try_wait_for_completion(done: Completion) -> bool:
    """Take one without sleeping; False if there is none."""
    return done.try_wait()


def completion_done(done: Completion) -> bool:
    """True if a wait would not sleep."""
    return done.done()


@contextmanager
def local_irq_save() -> Iterator[None]:
    """A section as an interrupt handler would run it: nothing in it may sleep or wait for an interrupt's end.

    Python has no interrupts to switch off; the section is noted on the task, and what must not be called in it WARNs.
    """
    me = current()
    me.irqs_off += 1
    try:
        yield
    finally:
        me.irqs_off -= 1


def irqs_disabled() -> bool:
    """True inside `local_irq_save`."""
    return current().irqs_off > 0


def READ_ONCE(struct: Any, field: str) -> Any:
    """Read ``struct.field`` with no lock, on purpose: an intended race, and a point where others may come between.

    Mirrors ``READ_ONCE()``, include/asm-generic/rwonce.h; Python needs the field's name, not its value.
    """
    return current().read_once(struct, field)


def WRITE_ONCE(struct: Any, field: str, value: Any) -> None:
    """Write ``struct.field`` with no lock, on purpose. A store and no barrier. Mirrors ``WRITE_ONCE()``, as above."""
    current().write_once(struct, field, value)


def sched_set_fifo(task: Task) -> None:
    """SCHED_FIFO, priority 50 (``MAX_RT_PRIO / 2``). `PermissionError` says how to get the privilege."""
    task.runtime.set_fifo(task, 50)


def sched_set_fifo_low(task: Task) -> None:
    """SCHED_FIFO, priority 1: above every normal task, below every other real-time task."""
    task.runtime.set_fifo(task, 1)


def set_user_nice(task: Task, nice: int) -> None:
    """Nice value -20 (favoured) to 19. Below 0 needs a privilege; `PermissionError` says which."""
    task.runtime.set_nice(task, nice)
