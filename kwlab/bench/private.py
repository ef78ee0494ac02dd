"""Private workers of four kinds: as they come, bound to a CPU, favoured by nice, real-time."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from kwlab.bench.contestants import WORKER
from kwlab.bench.results import Comparison, Result, not_measured
from kwlab.runtime.linux import allowed_cpus
from kwlab.sched import sched_set_fifo, set_user_nice
from kwlab.worker import KthreadWorker, kthread_destroy_worker, kthread_run_worker, kthread_run_worker_on_cpu

__all__ = ["FIFO", "NICE", "PINNED", "compared_kinds", "private_workers"]

PINNED = "pinned worker"
NICE = "worker at nice -20"
FIFO = "worker at FIFO 50"


def _pinned() -> KthreadWorker:
    return kthread_run_worker_on_cpu(max(allowed_cpus()), 0, "bench/%u")


def _with(change: Callable[[KthreadWorker], None]) -> KthreadWorker:
    worker = kthread_run_worker(0, "bench")
    try:
        change(worker)
    except BaseException:
        kthread_destroy_worker(worker)
        raise
    return worker


def _nice(worker: KthreadWorker) -> None:
    assert worker.task is not None
    set_user_nice(worker.task, -20)


def _fifo(worker: KthreadWorker) -> None:
    assert worker.task is not None
    sched_set_fifo(worker.task)


KINDS: dict[str, Callable[[], KthreadWorker]] = {
    WORKER: lambda: kthread_run_worker(0, "bench"),
    PINNED: _pinned,
    NICE: lambda: _with(_nice),
    FIFO: lambda: _with(_fifo),
}


@contextmanager
def private_workers() -> Iterator[tuple[dict[str, KthreadWorker], dict[str, str]]]:
    """A worker of each kind by its name, destroyed in the end; and by name what cannot be had here, and why."""
    workers: dict[str, KthreadWorker] = {}
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        for name, make in KINDS.items():
            try:
                workers[name] = make()
            except OSError as error:
                missing[name] = error.strerror or str(error)
            else:
                stack.callback(kthread_destroy_worker, workers[name])
        yield workers, missing


def compared_kinds(
    prefix: str, subject: str, samples: Mapping[str, list[float]], missing: Mapping[str, str]
) -> list[Result]:
    """Each kind beside a worker as it comes: what the CPU mask, nice and FIFO buy."""
    results: list[Result] = []
    for name, kind in (("pinned", PINNED), ("nice", NICE), ("fifo", FIFO)):
        if kind in missing:
            results.append(not_measured(f"{prefix}-{name}", subject, missing[kind]))
        else:
            pair = {who: samples[who] for who in (kind, WORKER)}
            results.append(Comparison(f"{prefix}-{name}", subject, "s", pair, kind, WORKER))
    return results
