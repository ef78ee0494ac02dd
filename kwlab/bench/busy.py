"""What priority is for: works that need a CPU while other processes want every CPU.

They are processes, and the works compute with the GIL released: what a work waits for is a CPU, and who gets one is the
scheduler's decision, which the CPU mask, nice and FIFO change. Each contestant has its works one after the other, for
the scheduler lets a thread in at once that has hardly run of late. It counts when a work is done, as told by itself,
for the caller has to wait for a CPU, too.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from kwlab.bench.contestants import POOL, WORKER, idle_pool
from kwlab.bench.latency import Started, tails, wake_ups
from kwlab.bench.neighbour import PART, irregular
from kwlab.bench.private import compared_kinds, private_workers
from kwlab.bench.results import Comparison, Result
from kwlab.bench.size import Size
from kwlab.bench.statistics import paired, percentile, spread
from kwlab.runtime.linux import allowed_cpus
from kwlab.worker import DEFINE_KTHREAD_WORK, kthread_queue_work

__all__ = ["busy", "busy_processes"]

EACH = 4  # processes for each CPU
BUFFER = bytes(2 << 20)  # what a work hashes: 1 to 5 ms
# They end when we are killed: an orphan has another parent.
LOOP = "import os, sys\nprint('runs', flush=True)\nwhile os.getppid() == int(sys.argv[1]):\n    sum(range(10_000))\n"


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """`count` processes that compute, as long as the block runs."""
    with ExitStack() as stack:
        for _ in range(count):
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", LOOP, str(os.getpid())], stdout=subprocess.PIPE
            )
            stack.callback(process.communicate)
            stack.callback(process.kill)
            assert process.stdout is not None
            process.stdout.readline()  # it has begun
        yield


class _Done(Started):
    """Computes, and then notes when."""

    def __call__(self, work: Any = None) -> None:
        hashlib.sha256(BUFFER)
        super().__call__(work)


def busy(size: Size) -> list[Result]:
    """Private workers of every kind, and a pool, in turns."""
    started = _Done()
    count = EACH * len(allowed_cpus())
    with private_workers() as (workers, missing), idle_pool() as pool, busy_processes(count):
        wakes = {POOL: started.by(lambda: pool.submit(started))}
        for name, worker in workers.items():
            wakes[name] = started.by(partial(kthread_queue_work, worker, DEFINE_KTHREAD_WORK(started)))
        taken: dict[str, list[list[float]]] = {name: [] for name in wakes}

        def measure(name: str) -> float:
            taken[name].append(wake_ups(size.busy_probes, {name: wakes[name]}, irregular)[name])
            return percentile(taken[name][-1], PART)

        samples = paired(size.rounds, {name: partial(measure, name) for name in wakes})
    waits = {name: spread(rounds) for name, rounds in taken.items()}
    subject = f"A work that computes, beside {count} busy processes, p{PART} of a round until it is done"
    pair = {name: samples[name] for name in (WORKER, POOL)}
    found = Comparison("busy", subject, "s", pair, WORKER, POOL, None, {"waits": waits}, tails(waits))
    return [found, *compared_kinds("busy", subject, samples, missing)]
