"""Kernel threads: made asleep, started by their first wake-up, ended only by being asked to.

Three requests sit as flag bits in `Kthread.flags`, set by others and read by the thread itself: *stop* and *park*.
They are set first and the thread is woken second; the thread announces its sleep first and reads the bits second. So
one of the two always sees the other, and no lock is needed.

A kthread is private property: whoever makes it stops it. Until the first wake-up it sits in TASK_UNINTERRUPTIBLE
(state D), and only in that window it can be bound to a CPU.

Mirrors kernel/kthread.c and kernel/freezer.c, Linux 6.18.
"""

import atexit
import errno
import os
import sys
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from kwlab.bug import WARN_ON, issue_kept, issue_warnings, noted
from kwlab.errors import ForkedWorkerError
from kwlab.runtime.base import Runtime
from kwlab.sched import (
    PF_NO_SETAFFINITY,
    TASK_PARKED,
    TASK_RUNNING,
    TASK_UNINTERRUPTIBLE,
    Task,
    current,
    wake_up_process,
    wake_up_state,
)
from kwlab.struct import Struct, freed, poison

__all__ = [
    "KTHREAD_SHOULD_PARK",
    "KTHREAD_SHOULD_STOP",
    "NUMA_NO_NODE",
    "Kthread",
    "kthread_bind",
    "kthread_bind_mask",
    "kthread_create",
    "kthread_create_on_node",
    "kthread_park",
    "kthread_parkme",
    "kthread_run",
    "kthread_should_park",
    "kthread_should_stop",
    "kthread_stop",
    "kthread_unpark",
    "printf_name",
    "to_kthread",
]

KTHREAD_IS_PER_CPU = 0
KTHREAD_SHOULD_STOP = 1
KTHREAD_SHOULD_PARK = 2
NUMA_NO_NODE = -1

ThreadFunction = Callable[[Any], int | None]


class Kthread:
    """``struct kthread``: what a task needs to be a kernel thread."""

    __slots__ = ("data", "exited", "flags", "node", "parked", "result", "started", "threadfn")

    def __init__(self, runtime: Runtime, threadfn: ThreadFunction, data: Any, node: int, name: str) -> None:
        self.flags = runtime.bits()
        self.parked = runtime.completion(f"{name}.parked")
        self.exited = runtime.completion(f"{name}.exited")
        self.threadfn, self.data, self.node = threadfn, data, node
        self.started = False
        self.result: int | None = None


def to_kthread(task: Task) -> Kthread:
    """The ``struct kthread`` of `task`; `RuntimeError` if it is none."""
    kthread: Kthread | None = task.kthread
    if kthread is None:
        raise RuntimeError(
            f"{task.name!r} is no kthread: this call is for threads made by kthread_create() or kthread_run()"
        )
    return kthread


_live: weakref.WeakSet[Any] = weakref.WeakSet()


def live_kthreads() -> list[Task]:
    """The kthreads of this process, on real threads or in a model, that have not exited."""
    return [task for task in list(_live) if not task.kthread.exited.done()]


def printf_name(namefmt: str, args: tuple[Any, ...]) -> str:
    """The thread name that printf would make of `namefmt` and `args`."""
    try:
        return namefmt % args if args else namefmt % ()
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"bad thread name {namefmt!r} % {args!r}: {error} (the format is printf's: 'demo/%u', 7)"
        ) from None


def kthread_create_on_node(threadfn: ThreadFunction, data: Any, node: int, namefmt: str, *args: Any) -> Task:
    """A new kthread that will run ``threadfn(data)`` once it is woken; until then it sits in state D.

    `node` is the NUMA node for its memory, or NUMA_NO_NODE. Errors: `TypeError` if threadfn is not callable,
    `ValueError` for a name that printf could not make, `OSError` ENOMEM if there is no thread to be had.
    """
    if not callable(threadfn):
        raise TypeError(f"threadfn must be a function of one argument, not {threadfn!r}")
    runtime = current().runtime
    name = printf_name(namefmt, args)
    kthread = Kthread(runtime, threadfn, data, node, name)
    task = runtime.spawn(_kthread, name)
    task.kthread = kthread
    # What goes wrong in a worker's thread is kept on the worker, which outlives the thread.
    task.kept = getattr(data, "kept", task.kept)
    _live.add(task)
    return task


def kthread_create(threadfn: ThreadFunction, data: Any, namefmt: str, *args: Any) -> Task:
    """`kthread_create_on_node` on no node in particular."""
    return kthread_create_on_node(threadfn, data, NUMA_NO_NODE, namefmt, *args)


def kthread_run(threadfn: ThreadFunction, data: Any, namefmt: str, *args: Any) -> Task:
    """Create and wake: the thread starts at once."""
    task = kthread_create(threadfn, data, namefmt, *args)
    wake_up_process(task)
    return task


def _kthread() -> None:
    """What every kthread runs first: ``kthread()`` in kernel/kthread.c. The runtime calls it at the first wake-up."""
    me = current()
    self = to_kthread(me)
    self.started = True
    result: int | None = -errno.EINTR
    try:
        # Stopped before it ever ran: threadfn is not called at all.
        if not self.flags.test_bit(KTHREAD_SHOULD_STOP):
            _parkme(me, self)
            result = self.threadfn(self.data) or 0
    except Exception as error:
        result = -errno.EFAULT
        me.runtime.oops(f"kthread {me.name} died in {getattr(self.threadfn, '__name__', self.threadfn)}", error)
    finally:
        self.result = result
        # The last touch: whoever waits in kthread_stop may free everything after this.
        self.exited.complete_all()


def kthread_should_stop() -> bool:
    """True once somebody called `kthread_stop` on this kthread. Read it after announcing the sleep."""
    return to_kthread(current()).flags.test_bit(KTHREAD_SHOULD_STOP)


def kthread_should_park() -> bool:
    """True while somebody wants this kthread parked; it should call `kthread_parkme`."""
    return to_kthread(current()).flags.test_bit(KTHREAD_SHOULD_PARK)


def kthread_stop(task: Task) -> int:
    """Ask `task` to end, wake it, wait until it has; returns what its function returned.

    -EINTR if it was never woken: then its function was never called. Sleeps; not from the thread itself.
    """
    kthread = to_kthread(task)
    if task is current():
        raise RuntimeError(
            f"kthread_stop({task.name!r}) from the thread itself would wait for ever: return from threadfn"
        )
    # get_task_struct(): the thread may be gone before the wake-up below.
    task.usage += 1
    kthread.flags.set_bit(KTHREAD_SHOULD_STOP)
    # Only if asked to park: unparking binds a per-CPU thread again and insists that it is parked (fixed in 6.12).
    if kthread.flags.test_bit(KTHREAD_SHOULD_PARK):
        kthread_unpark(task)
    # The bit is set before the wake-up: a thread that slept through the bit is woken by this, one that has
    # announced its sleep but not yet slept finds either the bit or its announcement taken back.
    wake_up_process(task)
    try:
        _wait_for_exit(kthread)
    finally:
        task.usage -= 1
    if task.kept is not None and task.kept is not getattr(kthread.data, "kept", None):
        issue_kept(task.kept)
    return kthread.result if kthread.result is not None else -errno.EINTR


def _wait_for_exit(kthread: Kthread) -> None:
    try:
        kthread.exited.wait()
    except KeyboardInterrupt:
        # The thread is on its way out and the caller is about to free what it uses, so the first Ctrl-C waits with
        # us; a second one leaves at once.
        kthread.exited.wait()
        raise


def kthread_park(task: Task) -> None:
    """Ask `task` to park and wait until it has. Its function must look at `kthread_should_park`.

    A worker's loop never does: do not park workers. `OSError` EBUSY if it is parked already.
    """
    kthread = to_kthread(task)
    if kthread.flags.test_bit(KTHREAD_SHOULD_PARK):
        WARN_ON(True, f"kthread_park: {task.name} is parked already")
        issue_warnings()
        raise OSError(errno.EBUSY, f"kthread {task.name!r} is parked already: kthread_unpark() it first")
    kthread.flags.set_bit(KTHREAD_SHOULD_PARK)
    if task is not current():
        wake_up_process(task)
        kthread.parked.wait()


def kthread_unpark(task: Task) -> None:
    """Let a parked kthread go on."""
    kthread = to_kthread(task)
    while kthread.parked.try_wait():
        pass  # what a park that nobody waited for left behind
    kthread.flags.clear_bit(KTHREAD_SHOULD_PARK)
    wake_up_state(task, TASK_PARKED)


def kthread_parkme() -> None:
    """Park, if asked to: the kthread's side of `kthread_park`. Returns when unparked."""
    me = current()
    _parkme(me, to_kthread(me))


def _parkme(me: Task, self: Kthread) -> None:
    while True:
        # Announce before reading the bit: an unpark in between takes the announcement back.
        me.set_current_state(TASK_PARKED)
        if not self.flags.test_bit(KTHREAD_SHOULD_PARK):
            break
        # Every round: it may have been unparked and parked again before it ran.
        self.parked.complete()
        me.schedule()
    me.state = TASK_RUNNING


def kthread_bind(task: Task, cpu: int) -> None:
    """Bind `task` to one CPU, for good: user space can no longer move it.

    Only between creation and the first wake-up (a WARN otherwise). `OSError` EINVAL names the CPUs there are.
    """
    kthread_bind_mask(task, (cpu,))


def kthread_bind_mask(task: Task, cpus: Iterable[int]) -> None:
    """As `kthread_bind`, to any CPU of a set."""
    kthread = to_kthread(task)
    if WARN_ON(
        not task.state & TASK_UNINTERRUPTIBLE or kthread.started,
        f"kthread_bind: {task.name} was woken already; bind between kthread_create() and the first wake-up",
    ):
        if noted:
            issue_warnings()
        return
    task.runtime.set_affinity(task, frozenset(cpus))
    task.flags |= PF_NO_SETAFFINITY


def _report_forgotten() -> None:
    for task in list(_live):
        kthread = task.kthread
        if kthread.exited.done() or not getattr(task.runtime, "reports_forgotten", True):
            continue
        what = repr(kthread.data) if kthread.data is not None else "nothing"
        print(f"kwlab: kthread {task.name!r} was never stopped; it still held {what}", file=sys.stderr)
        for message in task.kept or ():
            print(f"kwlab: never issued: {message}", file=sys.stderr)


def _bury_the_parents_workers() -> None:
    # A fork copies the memory and one thread. What waits for another thread of the parent would wait for ever. The
    # tasks of a model are no threads: they do not run in a copy of an exploration either.
    for task in list(_live):
        if not getattr(task.runtime, "reports_forgotten", True):
            continue
        data = task.kthread.data
        if isinstance(data, Struct) and not freed(data):
            fate = f"belongs to the parent process; its thread {task.name!r} does not exist after os.fork()"
            poison(data, fate, ForkedWorkerError)
    _live.clear()


atexit.register(_report_forgotten)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_bury_the_parents_workers)
