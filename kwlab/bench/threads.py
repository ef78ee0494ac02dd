"""The threads themselves: how long one lives, how many there can be and at what price, and where a pinned one runs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from kwlab.bench.results import Comparison, Observation, Result, Target
from kwlab.bench.size import Size
from kwlab.bench.statistics import bootstrap, median, paired
from kwlab.draw.units import quantity
from kwlab.runtime.linux import allowed_cpus
from kwlab.worker import (
    DEFINE_KTHREAD_WORK,
    KthreadWork,
    KthreadWorker,
    kthread_destroy_worker,
    kthread_flush_worker,
    kthread_queue_work,
    kthread_run_worker,
    kthread_run_worker_on_cpu,
)

__all__ = ["creation", "life", "pinning"]

BIRTH_LIMIT = 0.001  # seconds


def _birth_and_death() -> float:
    start = time.perf_counter()
    kthread_destroy_worker(kthread_run_worker(0, "bench"))
    return time.perf_counter() - start


def _note(ran: list[int], number: int, work: KthreadWork) -> None:
    ran.append(number)


@contextmanager
def _workers(count: int) -> Iterator[list[KthreadWorker]]:
    """So many workers at once; behind the block, also behind a failure in the middle, each is destroyed."""
    workers: list[KthreadWorker] = []
    try:
        for number in range(count):
            workers.append(kthread_run_worker(0, "bench/%u", number))
        yield workers
    finally:
        for worker in workers:
            kthread_destroy_worker(worker)


def life(size: Size) -> list[Result]:
    """One worker after the other, and all at once."""
    _birth_and_death()
    births = [_birth_and_death() for _ in range(size.births)]
    low, high = bootstrap(births)
    ran: list[int] = []
    start = time.perf_counter()
    with _workers(size.workers) as workers:
        for number, worker in enumerate(workers):
            kthread_queue_work(worker, DEFINE_KTHREAD_WORK(partial(_note, ran, number)))
        for worker in workers:
            kthread_flush_worker(worker)
    each = (time.perf_counter() - start) / size.workers
    middle = median(births)
    seen = (
        f"{quantity(middle, 's')} ({quantity(low, 's')} to {quantity(high, 's')}) in the median of {size.births}; "
        f"{len(set(ran)):,} of {size.workers:,} workers that lived at once ran their work, {quantity(each, 's')} each"
    )
    met = middle < BIRTH_LIMIT and sorted(ran) == list(range(size.workers))
    details = {"median": middle, "interval": [low, high], "at_once": len(set(ran)), "each_at_once": each}
    target = f"median below {quantity(BIRTH_LIMIT, 's')}, every worker runs"
    return [Observation("life", "Creating and destroying a worker", seen, target, met, details)]


def _at_once(count: int) -> float:
    """Seconds per worker, to create and to destroy it, when `count` of them live at once."""
    start = time.perf_counter()
    with _workers(count):
        pass
    return (time.perf_counter() - start) / count


def creation(size: Size) -> list[Result]:
    """Does a worker cost more when very many live beside it? As many are made in all, so that noise falls on both."""
    few = max(size.workers // 10, 1)
    batches = size.workers // few
    many_name, few_name = f"{size.workers:,} at once", f"{few:,} at once"
    samples = paired(
        size.growth_rounds,
        {
            many_name: lambda: _at_once(size.workers),
            few_name: lambda: sum(_at_once(few) for _ in range(batches)) / batches,
        },
    )
    subject = "Creating and destroying one of many workers"
    return [Comparison("creation", subject, "s", samples, many_name, few_name, Target(at_most=1.3))]


def pinning(size: Size) -> list[Result]:
    """What the kernel says of a worker that was bound to the last CPU that we may use, and where its work ran."""
    cpu = max(allowed_cpus())
    ran_on: set[int] = set()

    worker = kthread_run_worker_on_cpu(cpu, 0, "bench/%u")
    assert worker.task is not None
    pid = worker.task.pid

    def look(work: object) -> None:
        # Field 39 of proc(5)'s stat; the name in field 2 may hold blanks, so count from its closing bracket.
        stat = Path(f"/proc/self/task/{pid}/stat").read_text()
        ran_on.add(int(stat.rpartition(")")[2].split()[36]))

    try:
        for _ in range(100):
            kthread_queue_work(worker, DEFINE_KTHREAD_WORK(look))
        kthread_flush_worker(worker)
        status = Path(f"/proc/self/task/{pid}/status").read_text()
    finally:
        kthread_destroy_worker(worker)
    allowed = next(line.split()[1] for line in status.splitlines() if line.startswith("Cpus_allowed_list:"))
    seen = f"/proc allows CPU {allowed}, and its works ran on CPU {', '.join(map(str, sorted(ran_on)))}"
    details = {"asked": cpu, "cpus_allowed_list": allowed, "ran_on": sorted(ran_on)}
    met = allowed == str(cpu) and ran_on == {cpu}
    return [Observation("pinning", f"A worker bound to CPU {cpu}", seen, f"CPU {cpu} alone", met, details)]
