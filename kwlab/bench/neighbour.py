"""The noisy neighbour: a small work comes along now and then, while others flood the pool that it shares with them.

The noise is a number of blocking works that are never fewer: each hands itself in again when it ends. They sleep, as
works that wait for a device do, so the GIL is free and what the small work waits for is a thread, not the interpreter.
The small work goes to the shared pool and to private workers of several kinds in turns, under the same noise.
"""

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from kwlab.bench.contestants import WORKER
from kwlab.bench.latency import PAUSE, Started, tails, wake_ups
from kwlab.bench.private import compared_kinds, private_workers
from kwlab.bench.results import Comparison, Result, Target
from kwlab.bench.size import Size
from kwlab.bench.statistics import percentile, spread
from kwlab.worker import DEFINE_KTHREAD_WORK, kthread_queue_work

__all__ = ["PART", "SHARED", "THREADS", "irregular", "neighbour", "noise"]

THREADS = 4  # of the shared pool
SHARED = f"shared ThreadPoolExecutor({THREADS})"
BLOCKS = 0.001  # seconds that one of them takes
PART = 99  # the percentile that is judged: late answers are what a driver suffers from


@contextmanager
def noise(pool: ThreadPoolExecutor, level: int) -> Iterator[None]:
    """`level` blocking works in `pool` all the time; none is left when the block is over."""
    going = level > 0

    def block() -> None:
        time.sleep(BLOCKS)
        if going:
            running.append(pool.submit(block))

    running = []
    try:
        running += [pool.submit(block) for _ in range(level)]
        yield
    finally:
        going = False
        for one in running:  # grows until the last of them has seen that it is over
            one.result()


def irregular() -> float:
    """A pause that is not in step with anything."""
    return PAUSE * random.random()


def _under(level: int, size: Size) -> list[Result]:
    loudest = level == max(size.levels)
    started = Started()
    with (
        private_workers() as (workers, missing),
        ThreadPoolExecutor(THREADS, thread_name_prefix="bench-shared") as pool,
    ):
        wakes = {SHARED: started.by(lambda: pool.submit(started))}
        for name, worker in workers.items():
            if loudest or name == WORKER:
                wakes[name] = started.by(partial(kthread_queue_work, worker, DEFINE_KTHREAD_WORK(started)))
        with noise(pool, level):
            wake_ups(2, wakes, irregular)
            rounds = [wake_ups(size.probes, wakes, irregular) for _ in range(size.rounds)]
    samples = {name: [percentile(taken[name], PART) for taken in rounds] for name in wakes}
    waits = {name: spread([taken[name] for taken in rounds]) for name in (WORKER, SHARED)}
    details = {
        "others": level,
        "each_blocks": BLOCKS,
        "threads": THREADS,
        "probes_per_round": size.probes,
        "waits": waits,
    }
    subject = f"A small work beside {level} blocking works of {BLOCKS * 1000:g} ms, p{PART} of a round until it starts"
    pair = {name: samples[name] for name in (WORKER, SHARED)}
    target = Target(at_most=0.1) if loudest else None
    found: Result = Comparison(f"neighbour-{level}", subject, "s", pair, WORKER, SHARED, target, details, tails(waits))
    return [found, *(compared_kinds("private", subject, samples, missing) if loudest else ())]


def neighbour(size: Size) -> list[Result]:
    """The same for each level of noise; at the loudest, private workers of every kind."""
    return [result for level in size.levels for result in _under(level, size)]
