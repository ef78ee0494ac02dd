"""The Pythonic face: a worker as a context manager, for when the C names are not the point.

    with Worker("demo", cpu=1) as worker:
        worker.queue(print_nothing)
        worker.flush()

Leaving the block destroys the worker: what is queued still runs, then the thread ends.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Any

from kwlab.sched import wake_up_process
from kwlab.struct import freed
from kwlab.worker import (
    KthreadDelayedWork,
    KthreadWork,
    KthreadWorker,
    kthread_cancel_work_sync,
    kthread_create_worker,
    kthread_destroy_worker,
    kthread_flush_worker,
    kthread_init_delayed_work,
    kthread_init_work,
    kthread_queue_delayed_work,
    kthread_queue_work,
    kthread_run_worker_on_cpu,
)

__all__ = ["Worker"]


class Worker:
    """A running worker called `name`, bound to `cpu` if one is given. `worker` is the struct itself."""

    def __init__(self, name: str, cpu: int | None = None, flags: int = 0) -> None:
        if not isinstance(name, str) or not name:
            raise ValueError(f"a worker needs a name, not {name!r}")
        plain = name.replace("%", "%%")
        self.worker: KthreadWorker
        if cpu is None:
            self.worker = kthread_create_worker(flags, plain)
            assert self.worker.task is not None
            wake_up_process(self.worker.task)
        else:
            self.worker = kthread_run_worker_on_cpu(cpu, flags, plain + "/%u")

    def queue(self, fn: Callable[..., Any], *args: Any) -> KthreadWork:
        """Queue one call of ``fn(*args)``; returns its work, which can be queued, flushed or cancelled."""
        if not callable(fn):
            raise TypeError(f"Worker.queue() takes a function, not {fn!r}")
        work = KthreadWork()
        kthread_init_work(work, _caller(fn, args))
        kthread_queue_work(self.worker, work)
        return work

    def queue_after(self, delay: int, fn: Callable[..., Any], *args: Any) -> KthreadDelayedWork:
        """Queue one call of ``fn(*args)`` in `delay` jiffies (1/HZ s)."""
        if not callable(fn):
            raise TypeError(f"Worker.queue_after() takes a function, not {fn!r}")
        dwork = KthreadDelayedWork()
        kthread_init_delayed_work(dwork, _caller(fn, args))
        kthread_queue_delayed_work(self.worker, dwork, delay)
        return dwork

    def cancel(self, work: KthreadWork) -> bool:
        """`kthread_cancel_work_sync`."""
        return kthread_cancel_work_sync(work)

    def flush(self) -> None:
        """Wait for everything queued so far."""
        kthread_flush_worker(self.worker)

    def destroy(self) -> None:
        """Run what is queued and end the thread."""
        kthread_destroy_worker(self.worker)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.destroy()
        except KeyboardInterrupt:
            # One Ctrl-C must not leave the thread behind; a second one in here does leave at once.
            if not freed(self.worker):
                self.destroy()
            raise

    def __repr__(self) -> str:
        return f"<Worker {self.worker!r}>"


def _caller(fn: Callable[..., Any], args: tuple[Any, ...]) -> Callable[[KthreadWork], Any]:
    def call(work: KthreadWork) -> Any:
        return fn(*args)

    call.__name__ = getattr(fn, "__name__", type(fn).__name__)
    return call
