"""The noisy neighbour: a small work comes along now and then, while others flood the pool that it shares with them.

The noise is a number of blocking works that are never fewer: each hands itself in again when it ends. They sleep, as
works that wait for a device do, so the GIL is free and what the small work waits for is a thread, not the interpreter.
The small work goes to the shared pool and to a worker of its own in turns, under the same noise.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from kwlab.bench.contestants import WORKER, idle_worker
from kwlab.bench.latency import PAUSE, Started
from kwlab.bench.results import Comparison, Result, Target
from kwlab.bench.size import Size
from kwlab.bench.statistics import median, percentile
from kwlab.worker import DEFINE_KTHREAD_WORK, kthread_queue_work

__all__ = ["SHARED", "THREADS", "neighbour", "noise"]

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


def _round(probes: int, started: Started, senders: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in senders}
    order = list(senders) * probes
    random.shuffle(order)
    for name in order:
        time.sleep(PAUSE * random.random())  # not in step with the works of the others
        sent = time.perf_counter()
        senders[name]()
        taken[name].append(started.wait() - sent)
    return taken


def _under(level: int, size: Size) -> Result:
    started = Started()
    work = DEFINE_KTHREAD_WORK(started)
    with idle_worker() as worker, ThreadPoolExecutor(THREADS, thread_name_prefix="bench-shared") as pool:
        senders: dict[str, Callable[[], object]] = {
            WORKER: lambda: kthread_queue_work(worker, work),
            SHARED: lambda: pool.submit(started),
        }
        with noise(pool, level):
            _round(2, started, senders)
            rounds = [_round(size.probes, started, senders) for _ in range(size.rounds)]
    samples = {name: [percentile(taken[name], PART) for taken in rounds] for name in senders}
    details = {
        "others": level,
        "each_blocks": BLOCKS,
        "threads": THREADS,
        "probes_per_round": size.probes,
        "waits": {name: _percentiles([taken[name] for taken in rounds]) for name in senders},
        "p50": {name: median([median(taken[name]) for taken in rounds]) for name in senders},
    }
    subject = f"A small work beside {level} blocking works of {BLOCKS * 1000:g} ms, p{PART} of a round until it starts"
    target = Target(at_most=0.1) if level == max(size.levels) else None
    return Comparison(f"neighbour-{level}", subject, "s", samples, WORKER, SHARED, target, details)


def neighbour(size: Size) -> list[Result]:
    """The same for each level of noise."""
    return [_under(level, size) for level in size.levels]


def _percentiles(rounds: Sequence[Sequence[float]]) -> list[float]:
    """Of all waits, for 1 to 100 per cent."""
    taken = [seconds for one in rounds for seconds in one]
    return [percentile(taken, part) for part in range(1, 101)]
