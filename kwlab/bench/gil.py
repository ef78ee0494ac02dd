"""What a thread of one's own does not help against: Python's global lock (GIL).

A small work is queued while another thread of the same process computes, in Python, which holds the GIL, or in hashlib,
which gives it away. A thread that wants the GIL waits for the switch interval, and then asks its holder to let go. So
the clock starts when the caller's sleep should be over: the caller, too, needs the GIL before it can queue. In the
kernel there is nothing like it: there a woken thread needs a CPU, and nothing else.
"""

import hashlib
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from kwlab.bench.contestants import POOL, WORKER, idle_pool
from kwlab.bench.latency import PAUSE, Started, Wake, tails, wake_ups
from kwlab.bench.private import FIFO, private_workers
from kwlab.bench.results import Comparison, Observation, Result, not_measured
from kwlab.bench.size import Size
from kwlab.bench.statistics import middle_mean, spread
from kwlab.draw.units import quantity
from kwlab.worker import DEFINE_KTHREAD_WORK, kthread_queue_work

__all__ = ["computing", "gil", "switching"]

SHORT = 0.0005  # seconds, a tenth of Python's own interval
BUFFER = bytes(1 << 20)
ALONE = "alone"
HASHING = "beside a thread that hashes"
COMPUTING = "beside a thread that computes in Python"
SHORTER = f"the same at {SHORT * 1000:g} ms"


def in_python() -> None:
    """A piece of work that holds the GIL."""
    sum(range(1_000))


def in_hashlib() -> None:
    """A piece of work that gives the GIL away."""
    hashlib.sha256(BUFFER)


@contextmanager
def computing(piece: Callable[[], None]) -> Iterator[None]:
    """A thread that does `piece` again and again, as long as the block runs."""
    over = False
    begun = threading.Event()

    def run() -> None:
        begun.set()
        while not over:
            piece()

    thread = threading.Thread(target=run, name="bench-computing")
    thread.start()
    begun.wait()
    try:
        yield
    finally:
        over = True
        thread.join()


@contextmanager
def switching(interval: float) -> Iterator[None]:
    """`sys.setswitchinterval` for a block."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(interval)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _rounds(size: Size, wakes: Mapping[str, Wake]) -> list[dict[str, list[float]]]:
    normal = sys.getswitchinterval()
    worker = {WORKER: wakes[WORKER]}
    taken = []
    for _ in range(size.rounds):
        alone = wake_ups(size.gil_probes, worker)[WORKER]
        with computing(in_hashlib):
            hashing = wake_ups(size.gil_probes, worker)[WORKER]
        with computing(in_python):
            beside = wake_ups(size.gil_probes, wakes)
            with switching(min(SHORT, normal)):
                shorter = wake_ups(size.gil_probes, worker)[WORKER]
        taken.append({ALONE: alone, HASHING: hashing, COMPUTING: beside[WORKER], SHORTER: shorter} | beside)
    return taken


def gil(size: Size) -> list[Result]:
    """A worker alone, beside a thread that hashes, beside one that computes; there a pool and a FIFO worker, too."""
    started = Started()
    with private_workers() as (workers, missing), idle_pool() as pool:
        wakes = {POOL: started.by(lambda: pool.submit(started), after=PAUSE)}
        for name in (WORKER, FIFO):
            if name in workers:
                send = partial(kthread_queue_work, workers[name], DEFINE_KTHREAD_WORK(started))
                wakes[name] = started.by(send, after=PAUSE)
        rounds = _rounds(size, wakes)
    samples = {name: [middle_mean(taken[name]) for taken in rounds] for name in rounds[0]}
    waits = {name: spread([taken[name] for taken in rounds]) for name in rounds[0]}
    subject = "From when a small work is due until it starts"
    interval = sys.getswitchinterval()

    def compare(name: str, subject: str, over: str, under: str) -> Result:
        pair = {who: samples[who] for who in (over, under)}
        seen = {who: waits[who] for who in (over, under)}
        return Comparison(name, subject, "s", pair, over, under, None, {"waits": seen}, tails(seen))

    return [
        compare("gil-released", subject, HASHING, ALONE),
        compare("gil-held", subject, COMPUTING, ALONE),
        compare("gil-interval", subject, COMPUTING, SHORTER),
        _intervals(interval, {name: waits[COMPUTING if name == WORKER else name]["p50"] for name in wakes}),
        *([not_measured("gil-fifo", subject, missing[FIFO])] if FIFO in missing else ()),
    ]


def _intervals(interval: float, medians: Mapping[str, float]) -> Result:
    # No contest: who gets the GIL when it is free is chance, and stays the same for many turns.
    seen = ", ".join(f"{name} {seconds / interval:.1f}" for name, seconds in medians.items())
    subject = f"Switch intervals of {quantity(interval, 's')} that a work waits {COMPUTING}, in the median"
    return Observation("gil-intervals", subject, seen, details={"interval": interval, "p50": dict(medians)})
