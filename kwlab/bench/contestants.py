"""Who runs: a kthread worker, a thread pool of one thread, an event loop, and the least that Python can do."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from kwlab.worker import KthreadWorker, kthread_destroy_worker, kthread_run_worker

__all__ = ["ASYNCIO", "FLOOR", "POOL", "WORKER", "bare_thread", "event_loop", "idle_pool", "idle_worker", "nothing"]

WORKER = "kthread worker"
POOL = "ThreadPoolExecutor(1)"
FLOOR = "bare SimpleQueue thread"
ASYNCIO = "asyncio loop"


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


@contextmanager
def event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An asyncio loop that runs in a thread of its own; `call_soon_threadsafe` hands it what to call."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="bench-asyncio", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
