"""Waking up: from the queueing call on an idle thread until the function starts.

Both threads sleep when the clock starts. One work is queued again and again, as a driver's is. The caller then waits on
a bare lock, so that it gives up the GIL at once.

There are two kinds of wake-up on a shared CPU, about 8 µs apart: either the woken thread waits until the caller sleeps,
or it preempts the caller, finds the GIL taken and is switched out and in again. Which one comes next depends on the
wake-ups before. So the contestants' wake-ups are shuffled within a round, and a round's value is the mean of the middle
half of its wake-ups: a median would jump between the two kinds. The percentiles are those of all wake-ups.
"""

import random
import time
from _thread import allocate_lock
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from kwlab.bench.condvar import CONDVAR, NoCompiler, condvar_worker
from kwlab.bench.contestants import ASYNCIO, FLOOR, POOL, WORKER, bare_thread, event_loop, idle_pool, idle_worker
from kwlab.bench.results import Comparison, Result, Target, not_measured
from kwlab.bench.size import Size
from kwlab.bench.statistics import TAIL, middle_mean, spread
from kwlab.draw.units import quantity
from kwlab.worker import DEFINE_KTHREAD_WORK, kthread_queue_work

__all__ = ["PAUSE", "Started", "Wake", "latency", "tails", "wake_ups"]

PAUSE = 0.001  # seconds in which an idle thread falls asleep
SUBJECT = "Wake-up of an idle thread"

Wake = Callable[[], float]
"""Queues something that starts, waits until it has, and says how many seconds that took."""


class Started:
    """The function that is started: it notes when, and lets the caller go on."""

    def __init__(self) -> None:
        self._done = allocate_lock()
        self._done.acquire()
        self._at = 0.0

    def __call__(self, work: Any = None) -> None:
        self._at = time.perf_counter()
        self._done.release()

    def by(self, send: Callable[[], object], after: float = 0) -> Wake:
        """The start that `send` brings about, `after` so many seconds: measured from when that time is over."""

        def wake() -> float:
            due = time.perf_counter() + after
            if after:
                time.sleep(after)
            send()
            self._done.acquire()
            return self._at - due

        return wake


def wake_ups(
    count: int, wakes: Mapping[str, Wake], pause: Callable[[], float] = lambda: PAUSE
) -> dict[str, list[float]]:
    """The seconds of `count` wake-ups of each, in random order, with a `pause` before each."""
    taken: dict[str, list[float]] = {name: [] for name in wakes}
    order = list(wakes) * count
    random.shuffle(order)
    for name in order:
        time.sleep(pause())
        taken[name].append(wakes[name]())
    return taken


def tails(spreads: Mapping[str, Mapping[str, Any]]) -> str:
    """The percentiles of some contestants' waits in words."""
    each = ", ".join(
        f"{name} {' / '.join(quantity(one[f'p{part:g}'], 's') for part in TAIL)}" for name, one in spreads.items()
    )
    return f"p50 / p99 / p99.9 of all: {each}"


def latency(size: Size) -> list[Result]:
    """Idle contestants, each kept for all rounds."""
    started = Started()
    work = DEFINE_KTHREAD_WORK(started)
    missing: list[Result] = []
    with ExitStack() as stack:
        worker, pool = stack.enter_context(idle_worker()), stack.enter_context(idle_pool())
        queue, _ = stack.enter_context(bare_thread())
        loop = stack.enter_context(event_loop())
        wakes = {
            WORKER: started.by(lambda: kthread_queue_work(worker, work)),
            POOL: started.by(lambda: pool.submit(started)),
            FLOOR: started.by(lambda: queue.put(started)),
            ASYNCIO: started.by(lambda: loop.call_soon_threadsafe(started)),
        }
        try:
            wakes[CONDVAR] = stack.enter_context(condvar_worker()).wake
        except NoCompiler as error:
            missing.append(not_measured("latency-c", SUBJECT, str(error)))
        wake_ups(size.wakes // 4 + 1, wakes)
        rounds = [wake_ups(size.wakes, wakes) for _ in range(size.rounds)]
    samples = {name: [middle_mean(taken[name]) for taken in rounds] for name in wakes}
    waits = {name: spread([taken[name] for taken in rounds]) for name in wakes}

    def compare(name: str, over: str, under: str, target: Target | None = None) -> Result:
        pair = {who: samples[who] for who in (over, under)}
        seen = {who: waits[who] for who in (over, under)}
        return Comparison(name, SUBJECT, "s", pair, over, under, target, {"waits": seen}, tails(seen))

    results = [
        compare("latency", WORKER, POOL, Target(at_most=0.9)),
        compare("latency-floor", WORKER, FLOOR),
        compare("latency-asyncio", ASYNCIO, WORKER),
    ]
    if CONDVAR in wakes:
        results.append(compare("latency-c", WORKER, CONDVAR, Target(at_most=2.5)))
    return results + missing
