"""What a queued item weighs while it waits behind a blocked one.

Counted by tracemalloc: every byte that Python asks for, locks of the C library included. Resident memory would count
pages and depend on what was freed before. The worker's share is the work itself, made in the measured part; queueing
it takes nothing, for the list runs through the works. The pool's is the item, its future with lock and condition, and
its place in the queue; the caller keeps the future, as a caller who wants to wait does.
"""

import gc
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

from kwlab.bench.contestants import POOL, WORKER, idle_pool, idle_worker, nothing
from kwlab.bench.results import FEWEST, Comparison, Result, Target
from kwlab.bench.size import Size
from kwlab.bench.statistics import paired
from kwlab.worker import DEFINE_KTHREAD_WORK, kthread_queue_work

__all__ = ["memory"]


def _bytes_each(items: int, send: Callable[[], Any]) -> float:
    kept: list[Any] = [None] * items
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(items):
            kept[number] = send()
        return (tracemalloc.get_traced_memory()[0] - before) / items
    finally:
        tracemalloc.stop()


def _worker_bytes(items: int) -> float:
    gate = threading.Event()
    blocker = DEFINE_KTHREAD_WORK(lambda work: gate.wait())
    with idle_worker() as worker:
        try:
            kthread_queue_work(worker, blocker)

            def send() -> Any:
                work = DEFINE_KTHREAD_WORK(nothing)
                kthread_queue_work(worker, work)
                return work

            return _bytes_each(items, send)
        finally:
            gate.set()


def _pool_bytes(items: int) -> float:
    gate = threading.Event()
    with idle_pool() as pool:
        try:
            pool.submit(gate.wait)
            return _bytes_each(items, lambda: pool.submit(nothing))
        finally:
            gate.set()


def memory(size: Size) -> list[Result]:
    """As few rounds as a winner takes: bytes are not noisy."""
    samples = paired(FEWEST, {WORKER: lambda: _worker_bytes(size.queued), POOL: lambda: _pool_bytes(size.queued)})
    details = {"queued": size.queued}
    return [Comparison("memory", "A queued item", "B", samples, WORKER, POOL, Target(at_most=0.125), details)]
