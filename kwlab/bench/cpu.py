"""CPUs: works on a worker as it comes, on one that is bound to a CPU, and on a pool with a thread for each CPU.

The works hash, compress, or read a file that is in the page cache, all with the GIL released. Migrations are counted
by the kernel, in /proc, for each thread.
"""

import hashlib
import os
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from kwlab.bench.contestants import WORKER
from kwlab.bench.private import PINNED, private_workers
from kwlab.bench.results import Comparison, Result, not_measured
from kwlab.bench.size import Size
from kwlab.bench.statistics import paired
from kwlab.host.threadfiles import ThreadFiles
from kwlab.runtime.linux import allowed_cpus
from kwlab.worker import DEFINE_KTHREAD_WORK, KthreadWorker, kthread_flush_worker, kthread_queue_work

__all__ = ["cpu", "migrations"]

TASKS = Path("/proc/self/task")
WORKS = 8
BLOCK = 1 << 20  # bytes that a work hashes or reads; compressing is slower, it gets an eighth
TEXT = b"".join(b"work %d of worker %d\n" % (number * 7919 % 10_007, number % 13) for number in range(1 << 16))[:BLOCK]


def migrations(worker: KthreadWorker) -> int | None:
    """How often the worker's thread has moved to another CPU; None where the kernel does not tell."""
    assert worker.task is not None
    try:
        count = ThreadFiles(TASKS / str(worker.task.pid)).sched.values.get("se.nr_migrations")
    except OSError:
        return None
    return None if count is None else int(count)


@contextmanager
def _kinds() -> Iterator[dict[str, Callable[[], object]]]:
    with tempfile.TemporaryFile() as file:
        file.write(TEXT)
        file.flush()
        yield {
            "hash": lambda: hashlib.sha256(TEXT).digest(),
            "compress": lambda: zlib.compress(TEXT[: BLOCK // 8]),
            "read": lambda: os.pread(file.fileno(), BLOCK, 0),
        }


def _by_worker(worker: KthreadWorker, piece: Callable[[], object]) -> float:
    works = [DEFINE_KTHREAD_WORK(lambda work: piece()) for _ in range(WORKS)]
    start = time.perf_counter()
    for work in works:
        kthread_queue_work(worker, work)
    kthread_flush_worker(worker)
    return (time.perf_counter() - start) / WORKS


def _by_pool(pool: ThreadPoolExecutor, piece: Callable[[], object]) -> float:
    start = time.perf_counter()
    for future in [pool.submit(piece) for _ in range(WORKS)]:
        future.result()
    return (time.perf_counter() - start) / WORKS


def cpu(size: Size) -> list[Result]:
    """Each kind of work on all three."""
    threads = len(allowed_cpus())
    many = f"ThreadPoolExecutor({threads})"
    results: list[Result] = []
    with private_workers() as (workers, missing), ThreadPoolExecutor(threads) as pool, _kinds() as kinds:
        for kind, piece in kinds.items():
            subject = f"{WORKS} works that {kind} with the GIL released, per work"
            contestants: dict[str, Callable[[], float]] = {many: partial(_by_pool, pool, piece)}
            for name in (WORKER, PINNED):
                if name in workers:
                    contestants[name] = partial(_by_worker, workers[name], piece)
            before = {name: migrations(workers[name]) for name in contestants if name in workers}
            samples = paired(size.rounds, contestants, size.turns)
            moved = {name: _since(migrations(workers[name]), count) for name, count in before.items()}
            told = ", ".join(f"{name} {'unknown' if count is None else count}" for name, count in moved.items())
            details = {"works": WORKS, "migrations": moved}
            if PINNED in samples:
                pair = {name: samples[name] for name in (PINNED, WORKER)}
                remark = f"Migrations in all rounds: {told}"
                results.append(Comparison(f"cpu-{kind}", subject, "s", pair, PINNED, WORKER, None, details, remark))
            else:
                results.append(not_measured(f"cpu-{kind}", subject, missing[PINNED]))
            pair = {name: samples[name] for name in (WORKER, many)}
            results.append(Comparison(f"cpu-{kind}-pool", subject, "s", pair, WORKER, many))
    return results


def _since(now: int | None, before: int | None) -> int | None:
    return None if now is None or before is None else now - before
