"""The workqueue analogue, on `concurrent.futures.ThreadPoolExecutor`: for works that need no thread of their own.

What the pool imitates, with the kernel's names and return values:

* a work is *pending* from queueing until just before its call: queueing it again changes nothing and returns False;
* a work that runs may be queued for one more run, and never runs beside itself on the same queue;
* `max_active` limits how many works of a queue run at once; an ordered queue runs one at a time, in order of queueing;
* flush waits for what was queued before it, cancel takes back and waits, destroy drains; delays are kernel timers.

What a pool cannot imitate:

* *Shared threads.* In the kernel all queues share the workers of a few pools, and a queue is a set of attributes.
  Here every queue has its own pool, whose threads are made on demand, up to `max_active`, and stay until destroy.
  So two users who should share threads must share a queue.
* *Concurrency management.* The kernel starts another worker when one sleeps, and keeps as many running as there are
  CPUs; that is why its default `max_active` is 1024. A pool does not know that a work sleeps: here the default is a
  `ThreadPoolExecutor`'s, min(32, CPUs + 4).
* *Locality.* Nothing runs on the CPU that queued it: every queue is as WQ_UNBOUND, with the flag or without.
* *Priority* beyond nice: WQ_HIGHPRI is nice -20, as in the kernel, where the process may have that. Python's global
  lock knows nothing of it.
* *Forward progress without memory* (WQ_MEM_RECLAIM), freezing, BH queues, CPU-hog detection: those flags are refused.

Contract: `_lock` guards every field of every queue and work. Nobody sleeps or calls the pool under it. It is taken
before a timer base's lock, and in a timer's callback after its expiry lock. A work belongs to one queue at a time;
let it become idle before it goes to another.

Mirrors kernel/workqueue.c and include/linux/workqueue.h, Linux 6.18; its flush colours and pools have no counterpart.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kwlab.bug import WARN_ON, issue_kept_on, issue_warnings, noted
from kwlab.errors import DeadlockError, ForkedWorkerError
from kwlab.listhead import INIT_LIST_HEAD, ListHead, list_add_tail, list_del_init, list_empty, list_for_each_entry
from kwlab.runtime import linux
from kwlab.runtime.base import Runtime, local
from kwlab.runtime.locks import ThreadSpinLock
from kwlab.sched import current, init_completion
from kwlab.struct import Struct, container_of, embed, kfree
from kwlab.timer import (
    MAX_JIFFY_OFFSET,
    TIMER_IRQSAFE,
    TimerList,
    add_timer,
    jiffies,
    timer_delete,
    timer_delete_sync,
    timer_pending,
    timer_setup,
)

__all__ = [
    "INIT_DELAYED_WORK",
    "INIT_WORK",
    "WQ_HIGHPRI",
    "WQ_MAX_ACTIVE",
    "WQ_UNBOUND",
    "DelayedWork",
    "WorkStruct",
    "WorkqueueStruct",
    "alloc_ordered_workqueue",
    "alloc_workqueue",
    "cancel_delayed_work_sync",
    "cancel_work_sync",
    "delayed_work_pending",
    "destroy_workqueue",
    "flush_delayed_work",
    "flush_work",
    "flush_workqueue",
    "mod_delayed_work",
    "queue_delayed_work",
    "queue_work",
    "work_pending",
]

WQ_UNBOUND = 1 << 1
WQ_HIGHPRI = 1 << 4
WQ_MAX_ACTIVE = 2048
HIGHPRI_NICE_LEVEL = -20

_lock = ThreadSpinLock("workqueue.lock")
_serving = threading.local()  # in a pool's thread: the `wq` it serves and the `work` it runs
_fork = 0  # how many forks lead from the first process to this one


# ---------------------------------------------------------------------------------------------------- the structs


class _Barrier:
    """What a flush waits for: `left` runs have to end. (``struct wq_barrier``, for any number of works.)"""

    def __init__(self) -> None:
        self.left = 0
        self.done = init_completion("flush")

    def one_ended(self) -> None:
        """Under `_lock`."""
        self.left -= 1
        if not self.left:
            self.done.complete()


class _Run:
    """A work that runs now."""

    __slots__ = ("again", "barriers")

    def __init__(self, barriers: list[_Barrier]) -> None:
        self.again = False  # it came up again meanwhile: the same thread runs it once more
        self.barriers = barriers


class WorkqueueStruct(Struct):
    """``struct workqueue_struct``, from `alloc_workqueue`."""

    __slots__ = (
        "draining",
        "flags",
        "fork",
        "idle",
        "kept",
        "max_active",
        "name",
        "nr_active",
        "on_deadlock",
        "pool",
        "running",
        "worklist",
    )

    worklist: ListHead  # pending works, first in first out

    def __init__(self) -> None:
        self._container = self._shadow = None
        self.name, self.flags, self.max_active = "", 0, 0
        embed(self, "worklist", ListHead())
        self.running: dict[WorkStruct, _Run] = {}
        self.nr_active = 0  # slots of `max_active` in use: calls of `_serve` that were given to the pool
        self.idle: Any = None  # completed when a draining queue gives back its last slot
        self.draining = False
        self.pool: Any = None
        self.kept: list[str] = []
        self.on_deadlock = "raise"
        self.fork = _fork

    def __repr__(self) -> str:
        queued = sum(1 for _ in list_for_each_entry(self.worklist, WorkStruct, "entry"))
        return f"<workqueue {self.name}: {queued} queued, {len(self.running)} running, max_active {self.max_active}>"


class WorkStruct(Struct):
    """``struct work_struct``: what to call (`func`), and where it is linked (`entry`). Embed it in a struct of yours
    and use `container_of`. The kernel packs `pending`, `disable` and `wq` into `data`."""

    __slots__ = ("barriers", "disable", "entry", "func", "pending", "wq")

    entry: ListHead

    def __init__(self) -> None:
        self._container = self._shadow = None
        embed(self, "entry", ListHead())
        self.func: Any = None
        self.pending = False
        self.disable = 0  # how many cancels are under way; above 0 nobody can queue it
        self.wq: Any = None  # the queue it was queued on last
        self.barriers: list[_Barrier] = []  # of flushes that wait for the run that is owed

    def __repr__(self) -> str:
        return f"<WorkStruct {_name(self.func)}{' pending' if self.pending else ''}>"


class DelayedWork(Struct):
    """``struct delayed_work``: a work and the timer that will queue it."""

    __slots__ = ("armed", "timer", "work")

    work: WorkStruct
    timer: TimerList
    armed: bool  # pending because of the timer, and not on a list yet

    def __init__(self) -> None:
        self._container = self._shadow = None
        embed(self, "work", WorkStruct())
        embed(self, "timer", TimerList())
        self.armed = False


def INIT_WORK(work: WorkStruct, func: Callable[[WorkStruct], object]) -> None:
    """Prepare `work` to call ``func(work)``. Errors: `TypeError`; `RuntimeError` if it is pending."""
    _check("work", work, WorkStruct)
    if not callable(func):
        raise TypeError(f"INIT_WORK(): a work calls a function of one argument, and {func!r} is not callable")
    if work.pending:
        raise RuntimeError(f"INIT_WORK() on {work!r}: cancel_work_sync() it first")
    INIT_LIST_HEAD(work.entry)
    work.func, work.wq, work.disable = func, None, 0


def INIT_DELAYED_WORK(dwork: DelayedWork, func: Callable[[WorkStruct], object]) -> None:
    """Prepare `dwork` to call ``func(dwork.work)`` some time after it is queued."""
    _check("dwork", dwork, DelayedWork)
    INIT_WORK(dwork.work, func)
    timer_setup(dwork.timer, delayed_work_timer_fn, TIMER_IRQSAFE)


def work_pending(work: WorkStruct) -> bool:
    """True from queueing until just before the call."""
    return work.pending


def delayed_work_pending(dwork: DelayedWork) -> bool:
    """`work_pending` of a delayed work: true while its timer is armed, too."""
    return dwork.work.pending


# ------------------------------------------------------------------------------------------- beginning and ending


def alloc_workqueue(name: str, flags: int = 0, max_active: int = 0) -> WorkqueueStruct:
    """A queue called `name`. `flags`: WQ_UNBOUND, WQ_HIGHPRI; `max_active`: 1 to WQ_MAX_ACTIVE, 0 for the default.

    Where the process may not have nice -20, WQ_HIGHPRI issues a `KernelWarning` and the queue works without it.
    Errors: `ValueError` for a bad name, flag or number. (The kernel clamps `max_active` and logs that.)
    """
    if not isinstance(name, str) or not name:
        raise ValueError(f"a workqueue needs a name, not {name!r}")
    if flags & ~(WQ_UNBOUND | WQ_HIGHPRI):
        raise ValueError(f"workqueue flags {flags:#x}: a pool can imitate WQ_UNBOUND ({WQ_UNBOUND:#x}) and WQ_HIGHPRI")
    if not isinstance(max_active, int):
        raise TypeError(f"max_active must be a whole number, not {max_active!r}")
    if not 0 <= max_active <= WQ_MAX_ACTIVE:
        raise ValueError(f"max_active {max_active} is out of range: 1 to {WQ_MAX_ACTIVE}, or 0 for the default")
    wq = WorkqueueStruct()
    wq.name, wq.flags = name, flags
    wq.max_active = max_active or min(32, (os.cpu_count() or 1) + 4)
    INIT_LIST_HEAD(wq.worklist)
    runtime = current().runtime
    wq.on_deadlock = runtime.on_deadlock
    wq.pool = ThreadPoolExecutor(
        wq.max_active, thread_name_prefix=name, initializer=_enter_pool, initargs=(runtime, wq.kept, name, flags)
    )
    if flags & WQ_HIGHPRI:
        refused = wq.pool.submit(_own_priority_refused).result()
        if WARN_ON(bool(refused), f"alloc_workqueue: {name}: WQ_HIGHPRI has no effect here: {refused}"):
            try:
                issue_warnings()
            except BaseException:
                destroy_workqueue(wq)  # a filter made an error of it: nobody will ever get this queue
                raise
    return wq


def alloc_ordered_workqueue(name: str, flags: int = 0) -> WorkqueueStruct:
    """A queue that runs its works one at a time, in the order of queueing."""
    return alloc_workqueue(name, flags | WQ_UNBOUND, 1)


def _enter_pool(runtime: Runtime, kept: list[str], name: str, flags: int) -> None:
    local.runtime = runtime
    me = current()
    me.kept = kept
    linux.set_comm(me.pid, name[:15])
    _serving.refused = ""
    if flags & WQ_HIGHPRI:
        try:
            runtime.set_nice(me, HIGHPRI_NICE_LEVEL)
        except OSError as error:
            _serving.refused = error.strerror or str(error)


def _own_priority_refused() -> str:
    return str(_serving.refused)


def destroy_workqueue(wq: WorkqueueStruct) -> None:
    """Drain the queue (works that its own works queue meanwhile included), end its threads, free it.

    Cancel delayed and self-requeueing works first: an armed timer would touch the freed queue, and a drain never ends
    while a work queues itself. Context: may sleep; not from a work of the queue (`DeadlockError`).
    """
    _check_wq(wq)
    _refuse_deadlock(wq, _own_queue() is wq, "destroy_workqueue")
    with _lock:
        wq.draining = True
        idle = wq.idle = init_completion("drain")
        if not wq.nr_active:
            idle.complete()
    try:
        idle.wait()
    except BaseException:
        with _lock:
            wq.draining = False  # Ctrl-C: it is a queue as before
        raise
    wq.pool.shutdown()
    kept = wq.kept
    kfree(wq)
    issue_kept_on(kept)


# ------------------------------------------------------------------------------------------------------- queueing


def queue_work(wq: WorkqueueStruct, work: WorkStruct) -> bool:
    """Queue `work`. True if this call did it; False if it was pending already, or is being cancelled.

    Context: any. Errors: `RuntimeError` once the program is ending. A queue that drains takes works from its own
    works only: otherwise False and a WARN. (The kernel returns true there and leaves the work pending for ever.)
    """
    _check_wq(wq)
    _check("work", work, WorkStruct)
    with _lock:
        queued = _set_pending(wq, work)
        slot = queued and _insert_work(wq, work)
    if slot:
        _start_slot(wq, work)
    if noted:
        issue_warnings()
    return queued


def queue_delayed_work(wq: WorkqueueStruct, dwork: DelayedWork, delay: int) -> bool:
    """Queue `dwork` after `delay` jiffies; returns as `queue_work` (an armed timer counts as pending)."""
    _check_wq(wq)
    _check("dwork", dwork, DelayedWork)
    _check_delay(delay)
    with _lock:
        queued = _set_pending(wq, dwork.work)
        slot = queued and _queue_delayed_work(wq, dwork, delay)
    if slot:
        _start_slot(wq, dwork.work)
    if noted:
        issue_warnings()
    return queued


def mod_delayed_work(wq: WorkqueueStruct, dwork: DelayedWork, delay: int) -> bool:
    """Queue `dwork` after `delay` jiffies from now, pending or not. True if it was pending, False if it was idle.

    While it is being cancelled it is not queued.
    """
    _check_wq(wq)
    _check("dwork", dwork, DelayedWork)
    _check_delay(delay)
    with _lock:
        was_pending = _grab_pending(dwork.work)
        slot = _set_pending(wq, dwork.work) and _queue_delayed_work(wq, dwork, delay)
    if slot:
        _start_slot(wq, dwork.work)
    if noted:
        issue_warnings()
    return was_pending


def _set_pending(wq: WorkqueueStruct, work: WorkStruct) -> bool:
    """``test_and_set_bit(WORK_STRUCT_PENDING_BIT)``: True if the caller may queue. Under `_lock`."""
    if work.func is None:
        raise ValueError("this work was never initialised: call INIT_WORK(work, func) first")
    if work.pending or work.disable:
        return False
    if wq.draining and _own_queue() is not wq:
        WARN_ON(True, f"queue_work: {work!r} on the workqueue {wq.name}, which is being destroyed")
        return False
    work.pending, work.wq = True, wq
    return True


def _insert_work(wq: WorkqueueStruct, work: WorkStruct) -> bool:
    """Link a pending work; True if the caller must start a slot for it when it has left `_lock`."""
    list_add_tail(work.entry, wq.worklist)
    if wq.nr_active >= wq.max_active:
        return False  # all slots are busy: one of them will find it
    wq.nr_active += 1
    return True


def _queue_delayed_work(wq: WorkqueueStruct, dwork: DelayedWork, delay: int) -> bool:
    """Link now (delay 0) or arm the timer; returns as `_insert_work`. Under `_lock`."""
    if delay == 0:
        return _insert_work(wq, dwork.work)
    dwork.armed = True
    dwork.timer.expires = jiffies() + delay
    add_timer(dwork.timer)
    return False


def delayed_work_timer_fn(timer: TimerList) -> None:
    """The timer's callback: link the work."""
    dwork = container_of(timer, DelayedWork, "timer")
    with _lock:
        # Between its expiry and this lock the timer may have been cancelled, or armed again.
        if not dwork.armed or timer_pending(timer):
            return
        dwork.armed = False
        wq = dwork.work.wq
        slot = _insert_work(wq, dwork.work)
    if slot:
        _start_slot(wq, dwork.work)


def _start_slot(wq: WorkqueueStruct, work: WorkStruct) -> None:
    """Without `_lock`: the pool may have to make a thread."""
    try:
        wq.pool.submit(_serve, wq)
    except RuntimeError as error:
        with _lock:
            _end_slot(wq)
            if not list_empty(work.entry):
                _grab_pending(work)
        raise RuntimeError(f"workqueue {wq.name} cannot run {work!r}: {error}") from None


# ------------------------------------------------------------------------------------------------------ the slots


def _serve(wq: WorkqueueStruct) -> None:
    """One slot of `max_active`: a call in the pool that runs works until it finds none (``worker_thread``)."""
    me = current()
    _serving.wq = wq
    work = None
    while True:
        with _lock:
            work = _serving.work = _next_work(wq, work)
            if work is None:
                # After this the queue may be gone.
                _serving.wq = None
                _end_slot(wq)
                return
        func = work.func
        try:
            func(work)
        except BaseException as error:
            me.runtime.oops(f"work {_name(func)} on workqueue {wq.name}", error)
        if noted:
            issue_warnings()  # a WARN in the work: the queue keeps it for the next flush


def _next_work(wq: WorkqueueStruct, ended: WorkStruct | None) -> WorkStruct | None:
    """The run of `ended` is over; take the next work and mark it running. Under `_lock`."""
    if ended is not None:
        run = wq.running.pop(ended)
        for barrier in run.barriers:
            barrier.one_ended()
        if run.again:
            return _begin(wq, ended)
    while not list_empty(wq.worklist):
        work = container_of(wq.worklist.next, WorkStruct, "entry")
        list_del_init(work.entry)
        if work not in wq.running:
            return _begin(wq, work)
        # Never beside itself: left to the thread that runs it, still pending.
        wq.running[work].again = True
    return None


def _begin(wq: WorkqueueStruct, work: WorkStruct) -> WorkStruct:
    # Just before the call: from here on it may be queued again.
    work.pending = False
    wq.running[work] = _Run(work.barriers)
    work.barriers = []
    return work


def _own_queue() -> WorkqueueStruct | None:
    """The queue that the calling thread serves, if it is in a work."""
    return getattr(_serving, "wq", None)


def _end_slot(wq: WorkqueueStruct) -> None:
    wq.nr_active -= 1
    if not wq.nr_active and wq.draining:
        wq.idle.complete()


# ----------------------------------------------------------------------------------------- flushing and cancelling


def flush_work(work: WorkStruct) -> bool:
    """Wait until the run that is owed, or else the one that goes on, has ended. True if it waited, False if idle.

    Not for an armed timer: see `flush_delayed_work`. Context: may sleep; `DeadlockError` from the work itself, or
    from another work of the same queue when that runs one at a time.
    """
    _check("work", work, WorkStruct)
    if WARN_ON(work.func is None, "flush_work: the work was never initialised"):
        issue_warnings()
    wq: WorkqueueStruct | None = work.wq
    if wq is None:
        return False
    _check_wq(wq)
    barrier = _Barrier()
    with _lock:
        run = wq.running.get(work)
        if not list_empty(work.entry) or (run is not None and run.again):
            work.barriers.append(barrier)
        elif run is not None:
            run.barriers.append(barrier)
        else:
            return False
        barrier.left = 1
        kept = wq.kept
    own = _own_queue() is wq and (_serving.work is work or wq.max_active == 1)
    _refuse_deadlock(wq, own, "flush_work")
    barrier.done.wait()
    issue_kept_on(kept)
    return True


def flush_delayed_work(dwork: DelayedWork) -> bool:
    """If the timer is armed, queue the work now; then `flush_work` (False if it was done by then)."""
    _check("dwork", dwork, DelayedWork)
    with _lock:
        slot = dwork.armed
        if slot:
            dwork.armed = False
            timer_delete(dwork.timer)
            slot = _insert_work(dwork.work.wq, dwork.work)
    if slot:
        _start_slot(dwork.work.wq, dwork.work)
    return flush_work(dwork.work)


def flush_workqueue(wq: WorkqueueStruct) -> None:
    """Wait for everything queued before this call, what runs included; not for armed timers.

    Context: may sleep; not from a work of the queue (`DeadlockError`).
    """
    _check_wq(wq)
    barrier = _Barrier()
    with _lock:
        owed = list(list_for_each_entry(wq.worklist, WorkStruct, "entry"))
        owed += [work for work, run in wq.running.items() if run.again]
        for waiting in [*(work.barriers for work in owed), *(run.barriers for run in wq.running.values())]:
            waiting.append(barrier)
            barrier.left += 1
    _refuse_deadlock(wq, _own_queue() is wq, "flush_workqueue")
    if barrier.left:
        barrier.done.wait()
    issue_kept_on(wq.kept)


def cancel_work_sync(work: WorkStruct) -> bool:
    """Take `work` back and wait until it does not run. True if it was pending and this call took it back.

    Meanwhile nobody can queue it, not even the work itself. Context: may sleep; not from the work (`DeadlockError`).
    """
    _check("work", work, WorkStruct)
    with _lock:
        work.disable += 1
        was_pending = _grab_pending(work)
    try:
        dwork = work._container
        if isinstance(dwork, DelayedWork):
            timer_delete_sync(dwork.timer)  # its callback may be waiting for the lock; it must not outlive the work
        flush_work(work)
    finally:
        with _lock:
            work.disable -= 1
    return was_pending


def cancel_delayed_work_sync(dwork: DelayedWork) -> bool:
    """As `cancel_work_sync`, for a delayed work: disarms the timer."""
    _check("dwork", dwork, DelayedWork)
    return cancel_work_sync(dwork.work)


def _grab_pending(work: WorkStruct) -> bool:
    """Make a pending work idle; True if it was pending (``try_to_grab_pending``). Under `_lock`."""
    if not work.pending:
        return False
    work.pending = False
    dwork = work._container
    if isinstance(dwork, DelayedWork) and dwork.armed:
        dwork.armed = False
        timer_delete(dwork.timer)
        return True
    list_del_init(work.entry)
    run = work.wq.running.get(work)
    barriers, work.barriers = work.barriers, []
    if run is not None:
        run.again = False
        run.barriers += barriers  # so that a flush still ends with the work idle
    else:
        for barrier in barriers:
            barrier.one_ended()
    return True


# --------------------------------------------------------------------- what C leaves to the programmer's discipline


def _refuse_deadlock(wq: WorkqueueStruct, own: bool, what: str) -> None:
    if own and wq.on_deadlock == "raise":
        raise DeadlockError(
            f"{what}() in a work of workqueue {wq.name!r} would wait for that same work to end "
            "(the kernel would sleep here for ever, in state D)"
        )


def _check(what: str, given: object, kind: type[Struct]) -> None:
    if not isinstance(given, kind):
        hint = " (pass its .work)" if isinstance(given, DelayedWork) else ""
        raise TypeError(f"{what} must be a {kind.__name__}, not {given!r}{hint}")


def _check_wq(wq: WorkqueueStruct) -> None:
    _check("wq", wq, WorkqueueStruct)
    if wq.fork != _fork:
        raise ForkedWorkerError(f"workqueue {wq.name!r} was made before os.fork(): its threads are not in the child")


def _check_delay(delay: int) -> None:
    if not isinstance(delay, int):
        raise TypeError(f"delay must be a whole number of jiffies, not {delay!r} (msecs_to_jiffies() makes one)")
    if not 0 <= delay <= MAX_JIFFY_OFFSET:
        raise ValueError(f"delay {delay} is out of range: 0 to {MAX_JIFFY_OFFSET} jiffies")


def _name(func: Any) -> str:
    return getattr(func, "__name__", None) or type(func).__name__


def _after_fork() -> None:
    global _fork, _lock
    _fork += 1
    # Another thread of the parent may have held it.
    _lock = ThreadSpinLock("workqueue.lock")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
