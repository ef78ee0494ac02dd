"""Waking up: from the queueing call on an idle thread until the function starts.

Both threads sleep when the clock starts: the pause before is ten times what it takes to fall asleep. One work is queued
again and again, as a driver's is. The caller then waits on a bare lock, so that it gives up the GIL at once.
"""

import time
from _thread import allocate_lock
from collections.abc import Callable
from typing import Any

from kwlab.bench.contestants import POOL, WORKER, idle_pool, idle_worker
from kwlab.bench.results import Comparison, Result, Target
from kwlab.bench.size import Size
from kwlab.bench.statistics import median, paired
from kwlab.worker import DEFINE_KTHREAD_WORK, kthread_flush_worker, kthread_queue_work

__all__ = ["latency", "median_wake_up"]

PAUSE = 0.0003  # seconds in which an idle thread falls asleep


class _Started:
    """The function that is started: it notes when, and lets the caller go on."""

    def __init__(self) -> None:
        self._done = allocate_lock()
        self._done.acquire()
        self.at = 0.0

    def __call__(self, work: Any = None) -> None:
        self.at = time.perf_counter()
        self._done.release()

    def wait(self) -> float:
        self._done.acquire()
        return self.at


def median_wake_up(wakes: int, started: _Started, send: Callable[[], object]) -> float:
    """Median seconds from before `send` until `started` is called by the thread that it wakes."""
    taken = []
    for _ in range(wakes):
        time.sleep(PAUSE)
        sent = time.perf_counter()
        send()
        taken.append(started.wait() - sent)
    return median(taken)


def latency(size: Size) -> list[Result]:
    """An idle worker and an idle pool, each kept for all rounds."""
    started = _Started()
    work = DEFINE_KTHREAD_WORK(started)
    with idle_worker() as worker, idle_pool() as pool:
        kthread_flush_worker(worker)
        samples = paired(
            size.rounds,
            {
                WORKER: lambda: median_wake_up(size.wakes, started, lambda: kthread_queue_work(worker, work)),
                POOL: lambda: median_wake_up(size.wakes, started, lambda: pool.submit(started)),
            },
        )
    details = {"wakes_per_round": size.wakes}
    target = Target(at_most=0.9)
    return [Comparison("latency", "Wake-up of an idle thread", "s", samples, WORKER, POOL, target, details)]
