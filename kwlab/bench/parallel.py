"""Where the pool wins: works that have nothing to do with each other, and that block."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from kwlab.bench.contestants import WORKER, idle_worker
from kwlab.bench.results import FEWEST, Comparison, Result
from kwlab.bench.size import Size
from kwlab.bench.statistics import paired
from kwlab.worker import DEFINE_KTHREAD_WORK, kthread_flush_worker, kthread_queue_work

__all__ = ["parallel"]

WORKS = 8
BLOCKS = 0.01  # seconds, with the GIL released
LIMIT = 60.0  # seconds for all threads to start
MANY = f"ThreadPoolExecutor({WORKS})"


def _block(work: object = None) -> None:
    time.sleep(BLOCKS)


def _by_worker() -> float:
    prepared = [DEFINE_KTHREAD_WORK(_block) for _ in range(WORKS)]
    with idle_worker() as worker:
        kthread_flush_worker(worker)
        start = time.perf_counter()
        for work in prepared:
            kthread_queue_work(worker, work)
        kthread_flush_worker(worker)
        return time.perf_counter() - start


def _by_pool() -> float:
    with ThreadPoolExecutor(WORKS, thread_name_prefix="bench-pool") as pool:
        together = Barrier(WORKS)  # passed when every thread of the pool is there
        for there in [pool.submit(together.wait, LIMIT) for _ in range(WORKS)]:
            there.result()
        start = time.perf_counter()
        for one in [pool.submit(_block) for _ in range(WORKS)]:
            one.result()
        return time.perf_counter() - start


def parallel(size: Size) -> list[Result]:
    """As many threads as works, and one thread for all; as few rounds as a winner takes, for sleeping is not noisy."""
    samples = paired(FEWEST, {WORKER: _by_worker, MANY: _by_pool})
    details = {"works": WORKS, "each_blocks": BLOCKS}
    subject = f"{WORKS} independent works that block {BLOCKS * 1000:g} ms each"
    return [Comparison("parallel", subject, "s", samples, WORKER, MANY, None, details)]
