"""Queue to run: what one work costs from the queueing call until it has run, when very many are queued in a row.

The works exist and are initialised before the clock starts: a driver's are embedded in its structs. A pool cannot do
that: its items are made by `submit`. The growth experiment shows that the price does not depend on how many wait. The
garbage collector is left on; it has nothing to do while works are queued, for queueing allocates nothing.
"""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kwlab.bench.condvar import CONDVAR, NoCompiler, condvar_worker
from kwlab.bench.contestants import (
    ASYNCIO,
    FLOOR,
    POOL,
    WORKER,
    bare_thread,
    event_loop,
    idle_pool,
    idle_worker,
    nothing,
)
from kwlab.bench.results import Comparison, Result, Target, not_measured
from kwlab.bench.size import Size
from kwlab.bench.statistics import median, paired
from kwlab.worker import DEFINE_KTHREAD_WORK, kthread_flush_worker, kthread_queue_work

__all__ = ["growth", "throughput", "worker_cost"]

SUBJECT = "Queue to run, per work"


@contextmanager
def collections_counted(counter: list[int]) -> Iterator[None]:
    """Append how many garbage collections happen in the block."""
    seen: list[str] = []

    def count(phase: str, info: dict[str, int]) -> None:
        seen.append(phase)

    gc.callbacks.append(count)
    try:
        yield
    finally:
        gc.callbacks.remove(count)
        counter.append(seen.count("start"))


def worker_cost(works: int, collections: list[int] | None = None) -> float:
    """Seconds per work through a worker."""
    prepared = [DEFINE_KTHREAD_WORK(nothing) for _ in range(works)]
    with idle_worker() as worker:
        kthread_flush_worker(worker)
        gc.collect()
        with collections_counted([] if collections is None else collections):
            start = time.perf_counter()
            for work in prepared:
                kthread_queue_work(worker, work)
            kthread_flush_worker(worker)
            return (time.perf_counter() - start) / works


def pool_cost(works: int, collections: list[int] | None = None) -> float:
    """Seconds per item through a pool of one thread; `shutdown` waits until all have run."""
    with idle_pool() as pool:
        submit = pool.submit
        gc.collect()
        with collections_counted([] if collections is None else collections):
            start = time.perf_counter()
            for _ in range(works):
                submit(nothing)
            pool.shutdown(wait=True)
            return (time.perf_counter() - start) / works


def floor_cost(works: int) -> float:
    """Seconds per item through the barest queue and thread that Python has."""
    with bare_thread() as (queue, thread):
        put = queue.put
        gc.collect()
        start = time.perf_counter()
        for _ in range(works):
            put(nothing)
        put(None)
        thread.join()
        return (time.perf_counter() - start) / works


def loop_cost(works: int) -> float:
    """Seconds per callback through an event loop in a thread of its own."""
    done = threading.Event()
    with event_loop() as loop:
        call = loop.call_soon_threadsafe
        gc.collect()
        start = time.perf_counter()
        for _ in range(works):
            call(nothing)
        call(done.set)
        done.wait()
        return (time.perf_counter() - start) / works


def condvar_cost(works: int) -> float:
    """Seconds per work through the worker in C, measured there."""
    with condvar_worker() as worker:
        return worker.run(works)


def throughput(size: Size) -> list[Result]:
    """All in the same rounds."""
    of_worker: list[int] = []
    of_pool: list[int] = []
    contestants: dict[str, Callable[[], float]] = {
        WORKER: lambda: worker_cost(size.works, of_worker),
        POOL: lambda: pool_cost(size.works, of_pool),
        FLOOR: lambda: floor_cost(size.works),
        ASYNCIO: lambda: loop_cost(size.works // 5),
        CONDVAR: lambda: condvar_cost(size.works),
    }
    missing: list[Result] = []
    try:
        condvar_cost(1)
    except NoCompiler as error:
        del contestants[CONDVAR]
        missing.append(not_measured("throughput-c", SUBJECT, str(error)))
    samples = paired(size.rounds, contestants, size.turns)
    details = {
        "works_per_turn": size.works,
        "turns_per_round": size.turns,
        "collections_per_turn": {WORKER: median(of_worker[1:]), POOL: median(of_pool[1:])},
    }

    def compare(name: str, over: str, under: str, target: Target | None = None, **more: Any) -> Result:
        pair = {who: samples[who] for who in (over, under)}
        return Comparison(name, SUBJECT, "s", pair, over, under, target, **more)

    results = [
        compare("throughput", POOL, WORKER, Target(at_least=10, no_round_below=7), details=details),
        compare("floor", WORKER, FLOOR, Target(at_most=10)),
        compare("throughput-asyncio", ASYNCIO, WORKER),
    ]
    if CONDVAR in samples:
        results.append(compare("throughput-c", WORKER, CONDVAR))
    return results + missing


def _in_batches(works: int, batch: int) -> float:
    # As many works in all, so that as much of the machine's noise falls on them; the mean, so that it counts as much.
    batches = max(works // batch, 1)
    return sum(worker_cost(batch) for _ in range(batches)) / batches


def growth(size: Size) -> list[Result]:
    """Does a work cost more when very many are queued?"""
    many, few = f"{size.many:,} queued", f"{size.few:,} queued"
    of_many: list[int] = []
    samples = paired(
        size.growth_rounds,
        {many: lambda: worker_cost(size.many, of_many), few: lambda: _in_batches(size.many, size.few)},
    )
    details = {"collections_per_turn": {many: median(of_many[1:])}}
    target = Target(at_most=1.3)
    return [Comparison("growth", "A work among many and among few", "s", samples, many, few, target, details)]
