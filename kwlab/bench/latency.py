"""Waking up: from the queueing call on an idle thread until the function starts.

Both threads sleep when the clock starts. One work is queued again and again, as a driver's is. The caller then waits on
a bare lock, so that it gives up the GIL at once.

There are two kinds of wake-up on a shared CPU, about 8 µs apart: either the woken thread waits until the caller sleeps,
or it preempts the caller, finds the GIL taken and is switched out and in again. Which one comes next depends on the
wake-ups before. So the contestants' wake-ups are shuffled within a round, and a round's value is the mean of the middle
half of its wake-ups: a median would jump between the two kinds.
"""

import random
import time
from _thread import allocate_lock
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kwlab.bench.contestants import POOL, WORKER, idle_pool, idle_worker
from kwlab.bench.results import Comparison, Result, Target
from kwlab.bench.size import Size
from kwlab.bench.statistics import middle_mean, percentile
from kwlab.worker import DEFINE_KTHREAD_WORK, kthread_flush_worker, kthread_queue_work

__all__ = ["PAUSE", "Started", "latency", "wake_ups"]

PAUSE = 0.001  # seconds in which an idle thread falls asleep


class Started:
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


def wake_ups(count: int, started: Started, senders: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds from before a sender is called until `started` is: `count` times for each, in random order."""
    taken: dict[str, list[float]] = {name: [] for name in senders}
    order = list(senders) * count
    random.shuffle(order)
    for name in order:
        send = senders[name]
        time.sleep(PAUSE)
        sent = time.perf_counter()
        send()
        taken[name].append(started.wait() - sent)
    return taken


def latency(size: Size) -> list[Result]:
    """An idle worker and an idle pool, each kept for all rounds."""
    started = Started()
    work = DEFINE_KTHREAD_WORK(started)
    with idle_worker() as worker, idle_pool() as pool:
        senders: dict[str, Callable[[], object]] = {
            WORKER: lambda: kthread_queue_work(worker, work),
            POOL: lambda: pool.submit(started),
        }
        wake_ups(size.wakes // 4 + 1, started, senders)
        kthread_flush_worker(worker)
        rounds = [wake_ups(size.wakes, started, senders) for _ in range(size.rounds)]
    samples = {name: [middle_mean(taken[name]) for taken in rounds] for name in senders}
    details = {
        "wakes_per_round": size.wakes,
        **{name: _percentiles([taken[name] for taken in rounds]) for name in senders},
    }
    target = Target(at_most=0.9)
    return [Comparison("latency", "Wake-up of an idle thread", "s", samples, WORKER, POOL, target, details)]


def _percentiles(rounds: Sequence[Sequence[float]]) -> dict[str, float]:
    taken = [seconds for one in rounds for seconds in one]
    return {f"p{part:g}": percentile(taken, part) for part in (10, 50, 99)}
