"""The traps that are in Linux 6.18 still: the shipped worker is right, and these uses of it are wrong.

Every scenario takes the worker's module `w`; each wrong one stands beside the use that is right.
"""

from types import ModuleType
from typing import Any

from kwlab.kthread import kthread_run, kthread_stop
from kwlab.listhead import INIT_LIST_HEAD
from kwlab.museum.exhibit import Exhibit
from kwlab.timer import timer_pending

__all__ = ["TRAPS"]


def _nothing(work: Any) -> None: ...


def flush_armed(w: ModuleType) -> None:
    worker = w.kthread_run_worker(0, "worker")
    dwork = w.DEFINE_KTHREAD_DELAYED_WORK(_nothing)
    w.kthread_queue_delayed_work(worker, dwork, 5)
    w.kthread_flush_work(dwork.work)
    w.kthread_destroy_worker(worker)


def mod_then_flush(w: ModuleType) -> None:
    worker = w.kthread_run_worker(0, "worker")
    dwork = w.DEFINE_KTHREAD_DELAYED_WORK(_nothing)
    w.kthread_queue_delayed_work(worker, dwork, 5)
    w.kthread_mod_delayed_work(worker, dwork, 0)
    w.kthread_flush_work(dwork.work)
    w.kthread_destroy_worker(worker)


def _cancel_armed(w: ModuleType, as_delayed: bool) -> None:
    worker = w.kthread_run_worker(0, "worker")
    dwork = w.DEFINE_KTHREAD_DELAYED_WORK(_nothing)
    w.kthread_queue_delayed_work(worker, dwork, 5)
    if as_delayed:
        w.kthread_cancel_delayed_work_sync(dwork)
    else:
        w.kthread_cancel_work_sync(dwork.work)
    assert not timer_pending(dwork.timer), "cancelled, and the timer is armed still"
    w.kthread_destroy_worker(worker)


def cancel_armed_as_plain(w: ModuleType) -> None:
    _cancel_armed(w, as_delayed=False)


def cancel_armed_as_delayed(w: ModuleType) -> None:
    _cancel_armed(w, as_delayed=True)


def _flush_from_inside(w: ModuleType, same_worker: bool) -> None:
    worker = w.kthread_run_worker(0, "worker")
    other = worker if same_worker else w.kthread_run_worker(0, "other")
    second = w.DEFINE_KTHREAD_WORK(_nothing)
    first = w.DEFINE_KTHREAD_WORK(lambda work: w.kthread_flush_work(second))
    w.kthread_queue_work(other, second)
    w.kthread_queue_work(worker, first)
    w.kthread_queue_work(other, second)
    w.kthread_destroy_worker(worker)
    if not same_worker:
        w.kthread_destroy_worker(other)


def flush_own_worker(w: ModuleType) -> None:
    _flush_from_inside(w, same_worker=True)


def flush_other_worker(w: ModuleType) -> None:
    _flush_from_inside(w, same_worker=False)


def _producer(w: ModuleType, stopped_first: bool) -> None:
    worker = w.kthread_run_worker(0, "worker")
    work = w.DEFINE_KTHREAD_WORK(_nothing)

    def produce(data: Any) -> int:
        w.kthread_queue_work(worker, work)
        return 0

    producer = kthread_run(produce, None, "producer")
    if stopped_first:
        kthread_stop(producer)
    w.kthread_destroy_worker(worker)
    if not stopped_first:
        kthread_stop(producer)


def queue_while_destroying(w: ModuleType) -> None:
    _producer(w, stopped_first=False)


def producer_stopped_first(w: ModuleType) -> None:
    _producer(w, stopped_first=True)


def _self_requeueing(w: ModuleType, cancelled_first: bool) -> None:
    worker = w.kthread_run_worker(0, "worker")
    rounds: list[int] = []

    def again(work: Any) -> None:
        if len(rounds) < 3:
            rounds.append(len(rounds))
            w.kthread_queue_work(worker, work)

    work = w.DEFINE_KTHREAD_WORK(again)
    w.kthread_queue_work(worker, work)
    if cancelled_first:
        w.kthread_cancel_work_sync(work)
    w.kthread_destroy_worker(worker)


def destroy_self_requeueing(w: ModuleType) -> None:
    _self_requeueing(w, cancelled_first=False)


def cancel_self_requeueing(w: ModuleType) -> None:
    _self_requeueing(w, cancelled_first=True)


def _init_again(w: ModuleType, cancelled_first: bool) -> None:
    worker = w.kthread_run_worker(0, "worker")
    work = w.DEFINE_KTHREAD_WORK(_nothing)
    w.kthread_queue_work(worker, work)
    if cancelled_first:
        w.kthread_cancel_work_sync(work)
        w.kthread_init_work(work, _nothing)
    else:
        # What kthread_init_work() does to a work in C; kwlab's own refuses a linked one.
        INIT_LIST_HEAD(work.node)
    w.kthread_queue_work(worker, work)
    w.kthread_destroy_worker(worker)


def init_pending(w: ModuleType) -> None:
    _init_again(w, cancelled_first=False)


def init_idle(w: ModuleType) -> None:
    _init_again(w, cancelled_first=True)


def _two_workers(w: ModuleType, initialised_between: bool) -> None:
    first, second = w.kthread_run_worker(0, "first"), w.kthread_run_worker(0, "second")
    work = w.DEFINE_KTHREAD_WORK(_nothing)
    w.kthread_queue_work(first, work)
    w.kthread_flush_work(work)
    if initialised_between:
        w.kthread_init_work(work, _nothing)
    w.kthread_queue_work(second, work)
    w.kthread_destroy_worker(second)
    w.kthread_destroy_worker(first)


def move_to_second_worker(w: ModuleType) -> None:
    _two_workers(w, initialised_between=False)


def move_with_init(w: ModuleType) -> None:
    _two_workers(w, initialised_between=True)


def _remembered(w: ModuleType, cancelled_before: bool) -> None:
    worker = w.kthread_run_worker(0, "worker")
    work = w.DEFINE_KTHREAD_WORK(_nothing)
    w.kthread_queue_work(worker, work)
    if cancelled_before:
        w.kthread_cancel_work_sync(work)
    w.kthread_destroy_worker(worker)
    if not cancelled_before:
        w.kthread_cancel_work_sync(work)


def cancel_after_destroy(w: ModuleType) -> None:
    _remembered(w, cancelled_before=False)


def cancel_before_destroy(w: ModuleType) -> None:
    _remembered(w, cancelled_before=True)


def _embedded(w: ModuleType, flushed_first: bool) -> None:
    worker = w.KthreadWorker()
    w.kthread_init_worker(worker)
    task = kthread_run(w.kthread_worker_fn, worker, "worker")
    w.kthread_queue_work(worker, w.DEFINE_KTHREAD_WORK(_nothing))
    if flushed_first:
        w.kthread_flush_worker(worker)
        kthread_stop(task)
    else:
        kthread_stop(task)
        w.kthread_flush_worker(worker)


def flush_after_stop(w: ModuleType) -> None:
    _embedded(w, flushed_first=False)


def flush_before_stop(w: ModuleType) -> None:
    _embedded(w, flushed_first=True)


TRAPS = (
    Exhibit(
        "T1",
        "Flushing an armed delayed work",
        "The flush work is linked behind the work, and that is the delayed list, where nobody looks for works to run.",
        "deadlock",
        flush_armed,
        fixed=mod_then_flush,
        fix="kthread_mod_delayed_work(..., 0) first: it moves the work to the list that is run.",
    ),
    Exhibit(
        "T2",
        "The plain cancel on a delayed work",
        "It unlinks the work and leaves the timer armed; the timer WARNs later and the work runs anyway.",
        "assertion",
        cancel_armed_as_plain,
        fixed=cancel_armed_as_delayed,
        fix="kthread_cancel_delayed_work_sync().",
    ),
    Exhibit(
        "T3",
        "Waiting for one's own worker",
        "A callback flushes a work of the worker that runs it: the thread waits for itself, in state D, silently.",
        "deadlock",
        flush_own_worker,
        fixed=flush_other_worker,
        fix="Wait from another thread, or for another worker.",
    ),
    Exhibit(
        "T4",
        "Queueing to a worker that is being destroyed",
        "Between destroy's flush and its stop nobody refuses a queueing; the work stays on the list of a freed worker.",
        "use after free",
        queue_while_destroying,
        fixed=producer_stopped_first,
        fix="Stop who queues, then destroy.",
        options={"allow": ("kernel warning",)},  # destroy's warning: what it warns of is to be seen
    ),
    Exhibit(
        "T5",
        "Destroying under a work that queues itself",
        "Destroy flushes once; a work that queues itself again is on the list when the thread stops.",
        "kernel warning",
        destroy_self_requeueing,
        fixed=cancel_self_requeueing,
        fix="Cancel it first: a cancel refuses the work's own queueing.",
    ),
    Exhibit(
        "T6",
        "Initialising a pending work",
        "Its neighbours keep pointing at it; the next queueing or unlinking meets a list that disagrees with itself.",
        "list corruption",
        init_pending,
        fixed=init_idle,
        fix="Cancel, then initialise.",
    ),
    Exhibit(
        "T7",
        "One work, two workers",
        "The back-pointer is never cleared; queueing on a second worker WARNs once and goes on.",
        "kernel warning",
        move_to_second_worker,
        fixed=move_with_init,
        fix="kthread_init_work() between the two, while the work is idle.",
    ),
    Exhibit(
        "T8",
        "The work remembers a worker that is gone",
        "work->worker outlives the worker: a later cancel or flush looks into freed memory.",
        "use after free",
        cancel_after_destroy,
        fixed=cancel_before_destroy,
        fix="Cancel before the worker goes.",
    ),
    Exhibit(
        "T9",
        "Flushing after the thread was stopped",
        "task is None, nobody is woken, the flush waits for ever.",
        "deadlock",
        flush_after_stop,
        fixed=flush_before_stop,
        fix="Flush, then kthread_stop().",
    ),
)
