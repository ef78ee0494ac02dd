"""What the worker costs: throughput, wake-up, memory, threads. Every pair of measurements is taken in one round,
one after the other, in changing order, so that a noisy moment hits both."""

import os
import statistics
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from kwlab.bench.figures import Figure
from kwlab.sched import complete, init_completion, wait_for_completion
from kwlab.worker import (
    DEFINE_KTHREAD_WORK,
    KthreadWork,
    kthread_destroy_worker,
    kthread_flush_worker,
    kthread_queue_work,
    kthread_run_worker,
    kthread_run_worker_on_cpu,
)

__all__ = ["EXPERIMENTS", "Size"]


@dataclass(frozen=True)
class Size:
    """How much to measure."""

    rounds: int = 15
    works: int = 50_000
    wakes: int = 300
    queued: int = 20_000
    workers: int = 1_000
    many: int = 1_000_000


def _nothing(work: Any = None) -> None: ...


def _paired(size: Size, one: Callable[[], float], other: Callable[[], float], rounds: int | None = None) -> Any:
    one(), other()  # warm-up
    pairs = []
    for number in range(rounds or size.rounds):
        if number % 2:
            second, first = other(), one()
        else:
            first, second = one(), other()
        pairs.append((first, second))
    return pairs


def _worker_throughput(count: int) -> float:
    """Seconds per work, queue to run; the works are initialised before the clock starts."""
    worker = kthread_run_worker(0, "bench")
    works = [DEFINE_KTHREAD_WORK(_nothing) for _ in range(count)]
    kthread_flush_worker(worker)
    start = time.perf_counter()
    for work in works:
        kthread_queue_work(worker, work)
    kthread_flush_worker(worker)
    seconds = time.perf_counter() - start
    kthread_destroy_worker(worker)
    return seconds / count


def _pool_throughput(count: int) -> float:
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(_nothing).result()
        submit = pool.submit
        start = time.perf_counter()
        for _ in range(count):
            submit(_nothing)
        pool.shutdown(wait=True)
        return (time.perf_counter() - start) / count


def throughput(size: Size) -> Figure:
    pairs = _paired(size, lambda: _worker_throughput(size.works), lambda: _pool_throughput(size.works))
    micro = {"worker_us": statistics.median(a for a, _ in pairs) * 1e6}
    micro["pool_us"] = statistics.median(b for _, b in pairs) * 1e6
    ratios = [pool / worker for worker, pool in pairs]
    return Figure("throughput", "works per second, one worker to ThreadPoolExecutor(1)", ratios, True, micro)


def _latency(wakes: int, send: Callable[[Callable[[Any], None]], object]) -> float:
    """Median seconds from sending to an idle thread until its function starts."""
    seen: list[float] = []
    done = threading.Semaphore(0)

    def start(_: Any = None) -> None:
        seen.append(time.perf_counter())
        done.release()

    taken = []
    for _ in range(wakes):
        time.sleep(0.0003)  # long enough for the thread to be asleep again
        sent = time.perf_counter()
        send(start)
        done.acquire()
        taken.append(seen[-1] - sent)
    return statistics.median(taken)


def latency(size: Size) -> Figure:
    worker = kthread_run_worker(0, "bench")
    pool = ThreadPoolExecutor(max_workers=1)

    def queue(start: Callable[[Any], None]) -> None:
        kthread_queue_work(worker, DEFINE_KTHREAD_WORK(start))

    def submit(start: Callable[[Any], None]) -> None:
        pool.submit(start, None)

    pairs = _paired(size, lambda: _latency(size.wakes, queue), lambda: _latency(size.wakes, submit))
    pool.shutdown()
    kthread_destroy_worker(worker)
    micro = {"worker_us": statistics.median(a for a, _ in pairs) * 1e6}
    micro["pool_us"] = statistics.median(b for _, b in pairs) * 1e6
    ratios = [ours / theirs for ours, theirs in pairs]
    return Figure("latency", "wake-up of an idle thread, worker to pool", ratios, False, micro)


def _bytes_per_item(count: int, fill: Callable[[], Any]) -> float:
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = fill()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del kept
    return (after - before) / count


def memory(size: Size) -> Figure:
    worker = kthread_run_worker(0, "bench")
    release = init_completion("release")
    kthread_queue_work(worker, DEFINE_KTHREAD_WORK(lambda work: wait_for_completion(release)))
    gate = threading.Event()
    pool = ThreadPoolExecutor(max_workers=1)
    pool.submit(gate.wait)

    def queue() -> list[KthreadWork]:
        works = [DEFINE_KTHREAD_WORK(_nothing) for _ in range(size.queued)]
        for work in works:
            kthread_queue_work(worker, work)
        return works

    ours = _bytes_per_item(size.queued, queue)
    theirs = _bytes_per_item(size.queued, lambda: [pool.submit(_nothing) for _ in range(size.queued)])
    complete(release)
    gate.set()
    kthread_destroy_worker(worker)
    pool.shutdown()
    details = {"worker_bytes": ours, "pool_bytes": theirs}
    return Figure("memory", "bytes per queued item, worker to pool", [ours / theirs], False, details)


def life(size: Size) -> Figure:
    def one() -> float:
        start = time.perf_counter()
        kthread_destroy_worker(kthread_run_worker(0, "bench"))
        return time.perf_counter() - start

    def other() -> float:
        start = time.perf_counter()
        pool = ThreadPoolExecutor(max_workers=1)
        pool.submit(_nothing)
        pool.shutdown()
        return time.perf_counter() - start

    pairs = _paired(size, one, other, rounds=max(size.rounds, 50))
    start = time.perf_counter()
    workers = [kthread_run_worker(0, "bench/%u", number) for number in range(size.workers)]
    alive = len([thread for thread in threading.enumerate() if thread.name.startswith("bench/")])
    for worker in workers:
        kthread_destroy_worker(worker)
    details = {
        "create_and_destroy_ms": statistics.median(a for a, _ in pairs) * 1e3,
        "workers_at_once": alive,
        "ms_per_worker_at_once": (time.perf_counter() - start) / size.workers * 1e3,
    }
    return Figure("life", "create and destroy, worker to pool", [a / b for a, b in pairs], False, details)


def growth(size: Size) -> Figure:
    few = 10_000
    pairs = _paired(size, lambda: _worker_throughput(size.many), lambda: _worker_throughput(few), rounds=3)
    ratios = [many / small for many, small in pairs]
    return Figure("growth", f"cost per work at {size.many:,} queued works to {few:,}", ratios, False, {})


def pinning(size: Size) -> Figure:
    cpu = min(os.sched_getaffinity(0))
    worker = kthread_run_worker_on_cpu(cpu, 0, "bench/%u")
    assert worker.task is not None
    with open(f"/proc/self/task/{worker.task.pid}/status") as status:
        allowed = next(line.split()[1] for line in status if line.startswith("Cpus_allowed_list"))
    kthread_destroy_worker(worker)
    details = {"asked_for": str(cpu), "proc_says": allowed, "really_pinned": allowed == str(cpu)}
    return Figure(
        "pinning",
        "CPUs of a pinned worker, as /proc counts them",
        [1.0 if allowed == str(cpu) else 2.0],
        False,
        details,
    )


EXPERIMENTS: dict[str, Callable[[Size], Figure]] = {
    "throughput": throughput,
    "latency": latency,
    "memory": memory,
    "life": life,
    "growth": growth,
    "pinning": pinning,
}
