"""Order, and what becomes of a work that is queued again and again before it could run."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from kwlab.bench.contestants import POOL, WORKER, idle_pool, idle_worker
from kwlab.bench.results import Comparison, Observation, Result
from kwlab.bench.size import Size
from kwlab.bench.statistics import paired
from kwlab.worker import DEFINE_KTHREAD_WORK, KthreadWork, kthread_flush_worker, kthread_queue_work

__all__ = ["coalescing", "order", "overtaken"]

THREADS = 4
BLOCKS = (0.003, 0.001, 0.002, 0.0005)  # seconds, in turns: not all works take as long


def overtaken(ended: Sequence[int]) -> int:
    """How many in `ended`, numbered as they were handed in, came after one that was handed in later."""
    latest, late = -1, 0
    for number in ended:
        late += number < latest
        latest = max(latest, number)
    return late


def _block(ended: list[int], number: int, work: KthreadWork | None = None) -> None:
    time.sleep(BLOCKS[number % len(BLOCKS)])
    ended.append(number)


def _by_worker(works: int) -> list[int]:
    ended: list[int] = []
    with idle_worker() as worker:
        for number in range(works):
            kthread_queue_work(worker, DEFINE_KTHREAD_WORK(partial(_block, ended, number)))
        kthread_flush_worker(worker)
    return ended


def _by_pool(works: int, threads: int) -> list[int]:
    ended: list[int] = []
    with ThreadPoolExecutor(threads, thread_name_prefix="bench-pool") as pool:
        for number in range(works):
            pool.submit(_block, ended, number)
    return ended


def order(size: Size) -> list[Result]:
    """Works of unequal length, handed in one after the other: which of them end late?"""
    ended = {
        WORKER: _by_worker(size.ordered),
        POOL: _by_pool(size.ordered, 1),
        f"ThreadPoolExecutor({THREADS})": _by_pool(size.ordered, THREADS),
    }
    late = {name: overtaken(numbers) for name, numbers in ended.items()}
    seen = ", ".join(f"{name} {count}" for name, count in late.items())
    met = late[WORKER] == 0 and all(sorted(numbers) == list(range(size.ordered)) for numbers in ended.values())
    details = {"works": size.ordered, "overtaken": late}
    subject = f"Of {size.ordered} works of unequal length, overtaken by a later one"
    return [Observation("order", subject, seen, "none on the worker, every work ran", met, details)]


def _held(times: int, hold: Callable[[Callable[..., object]], object], hand_in: Callable[[], object]) -> float:
    """Seconds for each of `times` calls, while the thread is held in a work."""
    gate = threading.Event()
    entered = threading.Event()

    def wait(work: object = None) -> None:
        entered.set()
        gate.wait()

    hold(wait)
    entered.wait()
    try:
        start = time.perf_counter()
        for _ in range(times):
            hand_in()
        return (time.perf_counter() - start) / times
    finally:
        gate.set()


def _again_to_worker(times: int, runs: list[int]) -> float:
    ran: list[object] = []
    work = DEFINE_KTHREAD_WORK(ran.append)
    with idle_worker() as worker:
        cost = _held(
            times,
            lambda wait: kthread_queue_work(worker, DEFINE_KTHREAD_WORK(wait)),
            lambda: kthread_queue_work(worker, work),
        )
    runs.append(len(ran))
    return cost


def _again_to_pool(times: int, runs: list[int]) -> float:
    ran: list[object] = []
    with idle_pool() as pool:
        cost = _held(times, pool.submit, lambda: pool.submit(ran.append, None))
    runs.append(len(ran))
    return cost


def coalescing(size: Size) -> list[Result]:
    """One thing to do, asked for again and again while the thread is busy."""
    of_worker: list[int] = []
    of_pool: list[int] = []
    samples = paired(
        size.rounds,
        {
            WORKER: lambda: _again_to_worker(size.again, of_worker),
            POOL: lambda: _again_to_pool(size.again, of_pool),
        },
    )
    runs = {WORKER: sorted(set(of_worker)), POOL: sorted(set(of_pool))}
    seen = ", ".join(f"{name} {' or '.join(f'{count:,}' for count in counts)}" for name, counts in runs.items())
    subject = f"Runs, of one work handed in {size.again:,} times while the thread was busy"
    met = runs[WORKER] == [1]
    return [
        Observation("coalescing", subject, seen, "one run on the worker", met, {"again": size.again, "runs": runs}),
        Comparison("again", "Handing in a work that is pending", "s", samples, POOL, WORKER),
    ]
