"""Who runs: a kthread worker, a thread pool of one thread, and the least that Python can do."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from kwlab.worker import KthreadWorker, kthread_destroy_worker, kthread_run_worker

__all__ = ["FLOOR", "POOL", "WORKER", "bare_thread", "idle_pool", "idle_worker", "nothing"]

WORKER = "kthread worker"
POOL = "ThreadPoolExecutor(1)"
FLOOR = "bare SimpleQueue thread"


def nothing(work: Any = None) -> None:
    """The work of all throughput measurements: only the way to it is measured."""


@contextmanager
def idle_worker() -> Iterator[KthreadWorker]:
    """A started worker, destroyed in the end."""
    worker = kthread_run_worker(0, "bench")
    try:
        yield worker
    finally:
        kthread_destroy_worker(worker)


@contextmanager
def idle_pool() -> Iterator[ThreadPoolExecutor]:
    """A pool whose one thread has been started."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="bench-pool") as pool:
        pool.submit(nothing).result()
        yield pool


@contextmanager
def bare_thread() -> Iterator[tuple["SimpleQueue[Any]", threading.Thread]]:
    """A queue and a thread that calls what is put into it; ``None`` ends the thread."""
    queue: SimpleQueue[Any] = SimpleQueue()

    def run() -> None:
        get = queue.get
        while (function := get()) is not None:
            function()

    thread = threading.Thread(target=run, name="bench-bare", daemon=True)
    thread.start()
    try:
        yield queue, thread
    finally:
        queue.put(None)
        thread.join()
