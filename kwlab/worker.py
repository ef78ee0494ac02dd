"""The kthread_worker: one private kernel thread and one queue of works.

Read it top to bottom: the structs, how a work gets on the list, how the thread takes it off, how to wait for it, how to
take it back, how to do all of that later, and how a worker begins and ends.

Three facts carry the whole design:

* *A linked work is a pending work.* The loop unlinks a work before the call, so a work that runs may be queued again.
* *One lock guards everything*: both lists, `current_work`, and each queued work's `node`, `worker` and `canceling`.
* *After the call the loop never looks into the work again*, so a callback may free its own work.

Contract: a worker and its works outlive every call that is given them; nobody queues to a worker that is being
destroyed. Mirrors kernel/kthread.c and include/linux/kthread.h, Linux 6.18: same names, same order of steps.
"""

from collections.abc import Callable
from typing import Any, cast

from kwlab.bug import WARN_ON, issue_kept_on, issue_warnings, keep_warnings, noted
from kwlab.errors import DeadlockError, LockingError
from kwlab.freezer import freezing, set_freezable, try_to_freeze
from kwlab.kthread import (
    KTHREAD_SHOULD_STOP,
    NUMA_NO_NODE,
    kthread_bind,
    kthread_create_on_node,
    kthread_stop,
    printf_name,
    to_kthread,
)
from kwlab.listhead import (
    INIT_LIST_HEAD,
    ListHead,
    list_add,
    list_add_tail,
    list_del_init,
    list_empty,
    list_for_each_entry,
)
from kwlab.sched import (
    PF_NOFREEZE,
    TASK_INTERRUPTIBLE,
    TASK_NORMAL,
    TASK_RUNNING,
    Completion,
    SpinLock,
    Task,
    current,
    init_completion,
    raw_spin_lock_init,
    wake_up_process,
)
from kwlab.struct import Struct, container_of, embed, kfree
from kwlab.timer import MAX_JIFFY_OFFSET, TIMER_IRQSAFE, TimerList, __timer_delete_sync, add_timer, jiffies, timer_setup
from kwlab.tracepoint import probes, trace

__all__ = [
    "DEFINE_KTHREAD_DELAYED_WORK",
    "DEFINE_KTHREAD_WORK",
    "KTW_FREEZABLE",
    "KthreadDelayedWork",
    "KthreadWork",
    "KthreadWorker",
    "kthread_cancel_delayed_work_sync",
    "kthread_cancel_work_sync",
    "kthread_create_worker",
    "kthread_create_worker_on_cpu",
    "kthread_create_worker_on_node",
    "kthread_delayed_work_timer_fn",
    "kthread_destroy_worker",
    "kthread_flush_work",
    "kthread_flush_worker",
    "kthread_init_delayed_work",
    "kthread_init_work",
    "kthread_init_worker",
    "kthread_mod_delayed_work",
    "kthread_queue_delayed_work",
    "kthread_queue_work",
    "kthread_run_worker",
    "kthread_run_worker_on_cpu",
    "kthread_worker_fn",
]

KTW_FREEZABLE = 1 << 0

WorkFunction = Callable[["KthreadWork"], object]


# ---------------------------------------------------------------------------------------------------- the structs


class _NeverInitialised:
    """What stands in `KthreadWorker.lock` until `kthread_init_worker`."""

    name = "never initialised"

    def acquire(self) -> None:
        raise LockingError("this KthreadWorker was never initialised: call kthread_init_worker(worker) first")

    __enter__ = acquire

    def __exit__(self, *error: object) -> None: ...


class KthreadWorker(Struct):
    """``struct kthread_worker``. `kept` (warnings for the next flush: `kwlab.bug`) and `on_deadlock` are ours."""

    __slots__ = (
        "current_work",
        "delayed_work_list",
        "flags",
        "kept",
        "lock",
        "on_deadlock",
        "task",
        "work_list",
    )
    # destroy reads it with no lock, the loop's first line writes it with no lock; the kernel lives with both.
    DATA_RACY = frozenset({"task", "kept", "on_deadlock"})
    SET_ONCE = frozenset({"kept", "on_deadlock"})

    flags: int  # KTW_* bits, set once before the thread starts
    lock: SpinLock  # guards everything below
    work_list: ListHead  # works ready to run, first in first out
    delayed_work_list: ListHead  # works whose timer is armed, in no useful order
    task: Task | None  # the thread; None while there is none
    current_work: "KthreadWork | None"  # the work taken last; None once the loop found the list empty
    kept: list[str]
    on_deadlock: str

    def __init__(self) -> None:
        self._container = self._shadow = None
        self.flags = 0
        self.lock = cast(SpinLock, _NeverInitialised())
        embed(self, "work_list", ListHead())
        embed(self, "delayed_work_list", ListHead())
        self.task = self.current_work = None
        self.kept = []
        self.on_deadlock = "raise"

    def __repr__(self) -> str:
        if isinstance(self.lock, _NeverInitialised):
            return "<KthreadWorker never initialised>"
        queued = [_name(work.func) for work in list_for_each_entry(self.work_list, KthreadWork, "node")]
        delayed = [_name(work.func) for work in list_for_each_entry(self.delayed_work_list, KthreadWork, "node")]
        running = "something" if self.current_work is not None else "nothing"
        thread = self.task.name if self.task else "without a thread"
        return (
            f"<KthreadWorker {thread}: queued [{', '.join(queued)}], delayed [{', '.join(delayed)}], running {running}>"
        )


class KthreadWork(Struct):
    """``struct kthread_work``: what to call (`func`), and where it is linked (`node`). There is no data pointer:
    embed the work in a struct of yours and use `container_of`."""

    __slots__ = ("canceling", "func", "node", "worker")
    # flush and cancel read it with no lock, to learn which lock to take; they check it again under that lock.
    DATA_RACY = frozenset({"worker"})

    node: ListHead
    func: Any
    worker: KthreadWorker | None  # the worker it was queued on last; never cleared again
    canceling: int  # how many cancels are under way; above 0 nobody can queue it

    def __init__(self) -> None:
        self._container = self._shadow = None
        node = ListHead()
        node._container = self
        self.node = node
        self.func = self.worker = None
        self.canceling = 0

    def __repr__(self) -> str:
        linked = self.node.next is not None and not list_empty(self.node)
        return f"<KthreadWork {_name(self.func)}{' pending' if linked else ''}>"


class KthreadDelayedWork(Struct):
    """``struct kthread_delayed_work``: a work and the timer that will queue it."""

    __slots__ = ("timer", "work")

    work: KthreadWork
    timer: TimerList

    def __init__(self) -> None:
        self._container = self._shadow = None
        embed(self, "work", KthreadWork())
        embed(self, "timer", TimerList())


class _KthreadFlushWork(Struct):
    """``struct kthread_flush_work``: a work that does nothing but tell its waiter that its turn has come."""

    __slots__ = ("done", "work")

    work: KthreadWork
    done: Completion

    def __init__(self) -> None:
        self._container = self._shadow = None
        embed(self, "work", KthreadWork())
        self.done = init_completion("flush")
        kthread_init_work(self.work, kthread_flush_work_fn)


def kthread_init_worker(worker: KthreadWorker) -> None:
    """Make an empty worker with no thread. Give it one with ``kthread_run(kthread_worker_fn, worker, "name")``.

    Errors: `RuntimeError` if a thread is attached.
    """
    _check("worker", worker, KthreadWorker)
    if worker.task is not None:
        raise RuntimeError(f"kthread_init_worker() on {worker!r}, whose thread is alive: kthread_stop() it first")
    worker.flags = 0
    worker.lock = raw_spin_lock_init("worker.lock")
    INIT_LIST_HEAD(worker.work_list)
    INIT_LIST_HEAD(worker.delayed_work_list)
    worker.current_work = None
    worker.kept = []
    worker.on_deadlock = current().runtime.on_deadlock


def kthread_init_work(work: KthreadWork, fn: WorkFunction) -> None:
    """Prepare `work` to call ``fn(work)``. It must not be pending: its neighbours would keep pointing at it.

    Errors: `TypeError` if fn is not callable, `RuntimeError` if the work is linked.
    """
    _check("work", work, KthreadWork)
    if not callable(fn):
        raise TypeError(f"kthread_init_work(): a work calls a function of one argument, and {fn!r} is not callable")
    if work.node.next is not None and not list_empty(work.node):
        raise RuntimeError(f"kthread_init_work() on {work!r}: it is linked; kthread_cancel_work_sync() it first")
    INIT_LIST_HEAD(work.node)
    work.func = fn
    work.worker = None
    work.canceling = 0


def kthread_init_delayed_work(dwork: KthreadDelayedWork, fn: WorkFunction) -> None:
    """Prepare `dwork` to call ``fn(dwork.work)`` some time after it is queued."""
    _check("dwork", dwork, KthreadDelayedWork)
    kthread_init_work(dwork.work, fn)
    # IRQSAFE: the callback runs with interrupts off, so that mod_delayed_work may wait for it in any context.
    timer_setup(dwork.timer, kthread_delayed_work_timer_fn, TIMER_IRQSAFE)


def DEFINE_KTHREAD_WORK(fn: WorkFunction) -> KthreadWork:
    """A new, initialised work: ``work = DEFINE_KTHREAD_WORK(fn)``."""
    work = KthreadWork()
    kthread_init_work(work, fn)
    return work


def DEFINE_KTHREAD_DELAYED_WORK(fn: WorkFunction) -> KthreadDelayedWork:
    """A new, initialised delayed work."""
    dwork = KthreadDelayedWork()
    kthread_init_delayed_work(dwork, fn)
    return dwork


# ------------------------------------------------------------------------------------------------------- queueing


def queuing_blocked(worker: KthreadWorker, work: KthreadWork) -> bool:
    """True if `work` must not be queued now: it is pending, or somebody is cancelling it. Under ``worker.lock``."""
    if work.node.next is work.node and not work.canceling:
        return False
    if work.func is None:
        raise ValueError("this KthreadWork was never initialised: call kthread_init_work(work, fn) first")
    return True


def kthread_insert_work_sanity_check(worker: KthreadWorker, work: KthreadWork) -> None:
    """WARN if `work` is linked already, or belongs to another worker. Under ``worker.lock``."""
    worker.lock.assert_held()
    if work.node.next is not work.node:
        WARN_ON(True, f"kthread_insert_work: {work!r} is on a list already")
    if work.worker is not worker and work.worker is not None:
        WARN_ON(True, "kthread_insert_work: the work was queued on another worker before; kthread_init_work() it first")


def kthread_insert_work(worker: KthreadWorker, work: KthreadWork, pos: ListHead) -> None:
    """Link `work` just before `pos`, and wake the thread if nothing else will make it look. Under ``worker.lock``."""
    # The check is called only where it has something to say: this is the hottest path.
    node, owner = work.node, work.worker
    if node.next is not node or (owner is not worker and owner is not None) or worker.lock.free:
        kthread_insert_work_sanity_check(worker, work)
    if probes:
        _trace_queue(worker, work, pos)
    list_add_tail(node, pos)
    work.worker = worker
    # While current_work is set the loop is on its way back here and will look again: it clears current_work only in
    # the very section in which it finds the list empty. Waking it meanwhile would disturb a callback that sleeps.
    # (This is wake_up_process(), one call shorter: until a woken thread gets a CPU, every queueing comes here.)
    if worker.current_work is None and worker.task is not None:
        worker.task.wake_up(TASK_NORMAL)


def kthread_queue_work(worker: KthreadWorker, work: KthreadWork) -> bool:
    """Queue `work` at the tail. True if this call linked it; False if it was pending already, or is being cancelled.

    False is no error: a run is owed already. A work that is running, and not pending, is queued for one more run.
    Context: any; never sleeps. Errors: `TypeError` and `ValueError` for what is no work, or was never initialised.
    """
    if work.__class__ is not KthreadWork:
        _check("work", work, KthreadWork)
    # Here and in the loop the lock is taken by hand: these two sections are the price of a work, and `with` is dear.
    lock = worker.lock
    lock.acquire()
    try:
        # queuing_blocked() is called only where it has something to say; so is the check in kthread_insert_work().
        queued = (work.node.next is work.node and not work.canceling) or not queuing_blocked(worker, work)
        if queued:
            kthread_insert_work(worker, work, worker.work_list)
    finally:
        lock.release()
    if noted:
        issue_warnings()
    return queued


# ------------------------------------------------------------------------------------------------------- the loop


def kthread_worker_fn(worker: KthreadWorker) -> int:
    """The worker's thread: take a work, run it, again, until told to stop. Returns 0.

    Stop is looked at before the list: works that are still queued then are not run.
    """
    me = current()
    requests = to_kthread(me).flags
    WARN_ON(worker.task is not None and worker.task is not me, "kthread_worker_fn: the worker has another thread")
    worker.task = me
    if worker.flags & KTW_FREEZABLE:
        set_freezable()
    if noted:
        issue_warnings()

    while True:
        # Announce the sleep before looking for a reason not to: a stop or a work that comes after the look finds
        # the announcement and takes it back. The other way round, its wake-up would meet a running task and be lost.
        me.set_current_state(TASK_INTERRUPTIBLE)

        if requests.test_bit(KTHREAD_SHOULD_STOP):
            me.state = TASK_RUNNING
            with worker.lock:
                worker.task = None
            return 0

        work, lock = None, worker.lock
        lock.acquire()
        try:
            first = worker.work_list.next
            if first is not worker.work_list:
                # container_of(first, KthreadWork, "node"), which C has for nothing: only works are linked here.
                work = first._container
                # Off the list before it runs: from here on it may be queued again.
                list_del_init(work.node)
                if probes:
                    trace("list_del", worker, {"list": "work_list", "work": work})
            # In the same section as the look, whatever it found: None means "asleep soon, wake me".
            worker.current_work = work
        finally:
            lock.release()

        if work is not None:
            # After the call the work may be gone: what the end of the trace needs is kept, or is its address.
            func = work.func
            me.state = TASK_RUNNING
            if probes:
                trace("sched_kthread_work_execute_start", worker, {"work": id(work), "function": _name(func)})
            try:
                func(work)
            except BaseException as error:
                me.runtime.oops(f"work {_name(func)} on worker {me.name}", error)
            if probes:
                trace("sched_kthread_work_execute_end", worker, {"work": id(work), "function": _name(func)})
        elif not freezing(me):
            me.schedule()
        else:
            # Frozen tasks must not carry an announcement into the refrigerator.
            me.state = TASK_RUNNING

        # try_to_freeze's own first question, asked here: most workers never take part.
        if not me.flags & PF_NOFREEZE:
            try_to_freeze(me)
        me.cond_resched()


# ------------------------------------------------------------------------------------------------------- flushing


def kthread_flush_work_fn(work: KthreadWork) -> None:
    """The flush work's turn has come: everything before it is done."""
    container_of(work, _KthreadFlushWork, "work").done.complete()


def kthread_flush_work(work: KthreadWork) -> None:
    """Wait until the instance of `work` that is pending or running now has finished; not for later instances.

    Context: may sleep; not from a work of the same worker (`DeadlockError`). Never call it on the work of a delayed
    work whose timer is armed: the flush work would sit on the delayed list, where nobody runs it.
    """
    _check("work", work, KthreadWork)
    worker = work.worker
    if worker is None:
        return
    fwork = _KthreadFlushWork()
    with worker.lock:
        WARN_ON(work.worker is not worker, "kthread_flush_work: the work changed its worker")
        if not list_empty(work.node):
            # Right behind the work: what was queued after it is not waited for.
            kthread_insert_work(worker, fwork.work, work.node.next)
            must_wait = True
        elif worker.current_work is work:
            # It runs now: the head of the list is right behind it.
            kthread_insert_work(worker, fwork.work, worker.work_list.next)
            must_wait = True
        else:
            must_wait = False
    if must_wait:
        _wait_for_flush(worker, fwork)
    issue_kept_on(worker.kept)


def kthread_flush_worker(worker: KthreadWorker) -> None:
    """Wait for everything queued before this call, the running work included. Not for armed timers.

    Context: may sleep; not from a work of the same worker (`DeadlockError`), not after its thread was stopped.
    """
    _check("worker", worker, KthreadWorker)
    fwork = _KthreadFlushWork()
    kthread_queue_work(worker, fwork.work)
    _wait_for_flush(worker, fwork)
    issue_kept_on(worker.kept)


def _wait_for_flush(worker: KthreadWorker, fwork: _KthreadFlushWork) -> None:
    try:
        if worker.on_deadlock == "raise" and worker.task is current():
            raise DeadlockError(
                f"a work on worker {current().name!r} waits for that same worker: the thread that should run the flush "
                "is the one that waits (the kernel would sleep here for ever, in state D)"
            )
        fwork.done.wait()
    except BaseException:
        # Python can leave where the kernel cannot (Ctrl-C): the flush work goes, as it would with the stack.
        with worker.lock:
            list_del_init(fwork.work.node)
        raise


# ----------------------------------------------------------------------------------------------------- cancelling


def kthread_cancel_work_sync(work: KthreadWork) -> bool:
    """Take `work` off the list and wait until it does not run. True if it was pending and this call removed it.

    False does not mean that nothing happened: it may have waited for a running instance. On return the work is
    neither pending nor running; anybody may queue it again. Context: may sleep; not from the work itself.
    """
    _check("work", work, KthreadWork)
    return _cancel_work_sync(work, None)


def kthread_cancel_delayed_work_sync(dwork: KthreadDelayedWork) -> bool:
    """As `kthread_cancel_work_sync`, for a delayed work: also disarms the timer."""
    _check("dwork", dwork, KthreadDelayedWork)
    return _cancel_work_sync(dwork.work, dwork)


def _cancel_work_sync(work: KthreadWork, dwork: KthreadDelayedWork | None) -> bool:
    worker = work.worker
    if worker is None:
        return False
    if dwork is not None:
        _cancel_delayed_work_timer(worker, dwork)
    with worker.lock:
        if dwork is not None:
            work.canceling -= 1
        WARN_ON(work.worker is not worker, "kthread_cancel_work_sync: the work changed its worker")
        was_pending = _cancel_work(work)
        running = worker.current_work is work
        if running:
            # Nobody may queue it again while we wait, not even the work itself.
            work.canceling += 1
    if running:
        try:
            kthread_flush_work(work)
        finally:
            with worker.lock:
                work.canceling -= 1
    if noted:
        issue_warnings()
    return was_pending


def _cancel_delayed_work_timer(worker: KthreadWorker, dwork: KthreadDelayedWork) -> None:
    # The timer's callback takes the lock, so the lock must be free while we wait for the callback; `canceling` keeps
    # everybody, the callback included, from queueing the work in the meantime. The caller takes the count back in the
    # section in which it looks at the work again.
    with worker.lock:
        dwork.work.canceling += 1
    __timer_delete_sync(dwork.timer)


def _cancel_work(work: KthreadWork) -> bool:
    """Unlink `work` from whichever list it is on; True if it was linked. Under ``worker.lock``."""
    if list_empty(work.node):
        return False
    list_del_init(work.node)
    return True


# --------------------------------------------------------------------------------------------------- delayed works


def kthread_delayed_work_timer_fn(timer: TimerList) -> None:
    """The timer's callback: move the work from the delayed list to the tail of the work list."""
    work = container_of(timer, KthreadDelayedWork, "timer").work
    worker = work.worker
    if WARN_ON(worker is None, "kthread_delayed_work_timer_fn: the work was never queued, or initialised again"):
        issue_warnings()
        return
    assert worker is not None
    with worker.lock:
        WARN_ON(work.worker is not worker, "kthread_delayed_work_timer_fn: the work changed its worker")
        WARN_ON(
            list_empty(work.node),
            "kthread_delayed_work_timer_fn: the work is on no list; was it cancelled as a plain work?",
        )
        list_del_init(work.node)
        # A cancel is waiting for this callback to end: queueing now would let the work run while it is cancelled.
        if not work.canceling:
            kthread_insert_work(worker, work, worker.work_list)
    if noted:
        keep_warnings(worker.kept)


def _queue_delayed_work(worker: KthreadWorker, dwork: KthreadDelayedWork, delay: int) -> None:
    """Queue at once (delay 0) or arm the timer. Under ``worker.lock``."""
    work, timer = dwork.work, dwork.timer
    WARN_ON(
        timer.function is not kthread_delayed_work_timer_fn,
        "kthread_queue_delayed_work: the timer has another function",
    )
    if delay == 0:
        kthread_insert_work(worker, work, worker.work_list)
        return
    kthread_insert_work_sanity_check(worker, work)
    # Linked means pending, here too; order does not matter on this list.
    list_add(work.node, worker.delayed_work_list)
    work.worker = worker
    timer.expires = jiffies() + delay
    add_timer(timer)


def kthread_queue_delayed_work(worker: KthreadWorker, dwork: KthreadDelayedWork, delay: int) -> bool:
    """Queue `dwork` after `delay` jiffies. True if this call armed or linked it; False if it was pending (an armed
    timer counts, and is not changed), or is being cancelled. Context: any; never sleeps."""
    _check("dwork", dwork, KthreadDelayedWork)
    _check_delay(delay)
    with worker.lock:
        queued = not queuing_blocked(worker, dwork.work)
        if queued:
            _queue_delayed_work(worker, dwork, delay)
    if noted:
        issue_warnings()
    return queued


def kthread_mod_delayed_work(worker: KthreadWorker, dwork: KthreadDelayedWork, delay: int) -> bool:
    """Queue `dwork` after `delay` jiffies from now, pending or not.

    False if it was idle; True if it was pending (now re-armed) or somebody else is cancelling it (nothing done). So
    True means that the number of owed runs has not changed. Context: any; never sleeps.
    """
    _check("dwork", dwork, KthreadDelayedWork)
    _check_delay(delay)
    work = dwork.work
    if work.func is None:
        raise ValueError(
            "this KthreadDelayedWork was never initialised: call kthread_init_delayed_work(dwork, fn) first"
        )
    with worker.lock:
        known = work.worker is not None
        if not known:
            _queue_delayed_work(worker, dwork, delay)
        else:
            WARN_ON(work.worker is not worker, "kthread_mod_delayed_work: the work was queued on another worker before")
    if known:
        _cancel_delayed_work_timer(worker, dwork)
        with worker.lock:
            work.canceling -= 1
            # Only now, after the lock was dropped for the timer: a cancel may have begun meanwhile, and it wins.
            if work.canceling:
                was_pending = True
            else:
                was_pending = _cancel_work(work)
                _queue_delayed_work(worker, dwork, delay)
    if noted:
        issue_warnings()
    return known and was_pending


# -------------------------------------------------------------------------------------------- beginning and ending


def kthread_create_worker_on_node(flags: int, node: int, namefmt: str, *args: Any) -> KthreadWorker:
    """A worker with a thread that has not started: it sits in state D until the first queue, or a wake-up.

    In that window it can be bound. `flags`: 0 or KTW_FREEZABLE. `namefmt` and `args`: printf-style thread name.
    Errors: `ValueError` for unknown flags or a bad name, `OSError` ENOMEM if no thread is to be had.
    """
    if flags & ~KTW_FREEZABLE:
        raise ValueError(f"unknown worker flags {flags:#x}: 0 or KTW_FREEZABLE ({KTW_FREEZABLE})")
    worker = KthreadWorker()
    kthread_init_worker(worker)
    task = kthread_create_on_node(kthread_worker_fn, worker, node, namefmt, *args)
    worker.flags = flags
    worker.task = task
    worker.lock.name = f"{task.name}.lock"
    return worker


def kthread_create_worker(flags: int, namefmt: str, *args: Any) -> KthreadWorker:
    """`kthread_create_worker_on_node` on no node in particular."""
    return kthread_create_worker_on_node(flags, NUMA_NO_NODE, namefmt, *args)


def kthread_create_worker_on_cpu(cpu: int, flags: int, namefmt: str) -> KthreadWorker:
    """A worker bound to `cpu`, not started. `namefmt` is of the form ``"name/%u"``; the CPU's number is filled in.

    Errors: as `kthread_create_worker_on_node`; `OSError` EINVAL for a CPU that does not exist or is not allowed.
    """
    name = printf_name(namefmt, (cpu,))
    worker = kthread_create_worker(flags, "%s", name)
    assert worker.task is not None
    try:
        kthread_bind(worker.task, cpu)
    except BaseException:
        kthread_destroy_worker(worker)
        raise
    return worker


def kthread_run_worker(flags: int, namefmt: str, *args: Any) -> KthreadWorker:
    """Create a worker and start its thread."""
    return _started(kthread_create_worker(flags, namefmt, *args))


def kthread_run_worker_on_cpu(cpu: int, flags: int, namefmt: str) -> KthreadWorker:
    """Create a worker bound to `cpu` and start its thread."""
    return _started(kthread_create_worker_on_cpu(cpu, flags, namefmt))


def _started(worker: KthreadWorker) -> KthreadWorker:
    assert worker.task is not None
    wake_up_process(worker.task)
    return worker


def kthread_destroy_worker(worker: KthreadWorker) -> None:
    """Run what is queued, end the thread, free the worker. For workers from kthread_create/run_worker only.

    It cancels nothing: silence every producer first, then cancel delayed and self-requeueing works, then destroy.
    Context: may sleep; not from a work of the worker itself (`DeadlockError`).
    """
    _check("worker", worker, KthreadWorker)
    task = worker.task
    if WARN_ON(task is None, "kthread_destroy_worker: the worker has no thread"):
        issue_warnings()
        return
    assert task is not None
    kthread_flush_worker(worker)
    try:
        kthread_stop(task)
    finally:
        if to_kthread(task).exited.done():
            _free_worker(worker)


def _free_worker(worker: KthreadWorker) -> None:
    armed, queued = not list_empty(worker.delayed_work_list), not list_empty(worker.work_list)
    WARN_ON(armed, "kthread_destroy_worker: a timer is still armed; it will touch the freed worker")
    WARN_ON(queued, "kthread_destroy_worker: works were queued meanwhile and will never run")
    kept = worker.kept
    kfree(worker)
    issue_kept_on(kept)


# --------------------------------------------------------------------- what C leaves to the programmer's discipline


def _check(what: str, given: object, kind: type[Struct]) -> None:
    if not isinstance(given, kind):
        hint = " (pass its .work)" if isinstance(given, KthreadDelayedWork) else ""
        raise TypeError(f"{what} must be a {kind.__name__}, not {given!r}{hint}")


def _check_delay(delay: int) -> None:
    if not isinstance(delay, int):
        raise TypeError(f"delay must be a whole number of jiffies, not {delay!r} (msecs_to_jiffies() makes one)")
    if not 0 <= delay <= MAX_JIFFY_OFFSET:
        raise ValueError(f"delay {delay} is out of range: 0 to {MAX_JIFFY_OFFSET} jiffies")


def _name(func: Any) -> str:
    return getattr(func, "__name__", None) or type(func).__name__


def _trace_queue(worker: KthreadWorker, work: KthreadWork, pos: ListHead) -> None:
    trace("sched_kthread_work_queue_work", worker, {"work": work, "function": _name(work.func), "worker": worker})
    trace("list_add", worker, {"list": "work_list", "work": work})
