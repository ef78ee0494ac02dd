"""The queue picture of a live worker: `queue_state` reads its fields under its lock, `draw_queue` draws them."""

from contextlib import suppress
from typing import Any

from kwlab.draw.fields import Queued, QueueState, draw_queue
from kwlab.draw.svg import Picture
from kwlab.face import Worker
from kwlab.listhead import ListHead, list_for_each_entry
from kwlab.runtime.threads import ThreadRuntime
from kwlab.sched import current, task_state_to_char
from kwlab.struct import freed
from kwlab.worker import KthreadWork, KthreadWorker, kthread_flush_work_fn

__all__ = ["queue_picture", "queue_state"]


def queue_picture(worker: KthreadWorker | Worker) -> Picture:
    """The picture of `worker` as soon as its thread has come to rest, or after a second as it then is."""
    worker = worker.worker if isinstance(worker, Worker) else worker
    runtime = worker.task.runtime if not freed(worker) and worker.task else None
    if isinstance(runtime, ThreadRuntime) and worker.lock.holder is not current():
        with suppress(TimeoutError):
            runtime.settle(1.0)
    return draw_queue(queue_state(worker))


def queue_state(worker: KthreadWorker) -> QueueState:
    """What `worker` holds now, read under its lock, which this call takes unless the caller holds it.

    Of one that was freed nothing is read.
    """
    if freed(worker):
        return QueueState("", "", freed=True)
    if worker.lock.holder is current():
        return _read(worker, current().name)
    with worker.lock:
        return _read(worker, "")


def _read(worker: KthreadWorker, holder: str) -> QueueState:
    def works(head: ListHead) -> tuple[Queued, ...]:
        return tuple(_queued(work) for work in list_for_each_entry(head, KthreadWork, "node"))

    return QueueState(
        task=worker.task.name if worker.task else "",
        state=task_state_to_char(worker.task.state) if worker.task else "",
        lock_holder=holder,
        work_list=works(worker.work_list),
        delayed_work_list=works(worker.delayed_work_list),
        current_work=_queued(worker.current_work) if worker.current_work is not None else None,
    )


def _queued(work: Any) -> Queued:
    flush = work.func is kthread_flush_work_fn
    name = "flush" if flush else getattr(work.func, "__name__", type(work.func).__name__)
    return Queued(name, flush, work.canceling)
