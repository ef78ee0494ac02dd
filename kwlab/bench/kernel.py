"""The real kernel's own worker beside ours: how long a work waits from being queued until it starts.

The works are those of RCU's worker, one after the other on an idle thread, timed by the kernel's trace events (see
`kwlab.host.livelab`): root only. In turns with ours, which is timed as in `kwlab.bench.latency`.
"""

from kwlab.bench.contestants import WORKER, idle_worker
from kwlab.bench.latency import Started, tails, wake_ups
from kwlab.bench.results import Comparison, Result, not_measured
from kwlab.bench.size import Size
from kwlab.bench.statistics import middle_mean, spread
from kwlab.host.livelab import RCU_WORKER, capture_live
from kwlab.host.tracefs import TracefsError
from kwlab.trace.analysis import analyse
from kwlab.trace.match import Run
from kwlab.trace.reader import TraceReader
from kwlab.worker import DEFINE_KTHREAD_WORK, kthread_queue_work

__all__ = ["KERNEL", "kernel", "kernel_delays"]

KERNEL = "the kernel's own worker"
SUBJECT = "Wake-up of an idle worker"


def kernel_delays(works: int) -> list[float]:
    """Seconds from queueing to start of so many works of the kernel. Errors: `TracefsError` says what is missing."""
    text = capture_live(works, scheduler=False)
    runs: list[Run] = analyse(TraceReader(text.splitlines(keepends=True))).runs
    delays = [run.delay for run in runs if run.delay is not None]
    if not delays:
        raise TracefsError(f"the trace has no work of {RCU_WORKER} from its queueing to its start")
    return delays


def kernel(size: Size) -> list[Result]:
    """Rounds of the kernel's works and of ours, in turns."""
    started = Started()
    work = DEFINE_KTHREAD_WORK(started)
    ours: list[list[float]] = []
    theirs: list[list[float]] = []
    with idle_worker() as worker:
        wakes = {WORKER: started.by(lambda: kthread_queue_work(worker, work))}
        try:
            for _ in range(size.rounds):
                theirs.append(kernel_delays(size.wakes))
                ours.append(wake_ups(size.wakes, wakes)[WORKER])
        except TracefsError as error:
            return [not_measured("kernel", SUBJECT, str(error))]
    taken = {WORKER: ours, KERNEL: theirs}
    samples = {name: [middle_mean(one) for one in rounds] for name, rounds in taken.items()}
    waits = {name: spread(rounds) for name, rounds in taken.items()}
    return [Comparison("kernel", SUBJECT, "s", samples, WORKER, KERNEL, None, {"waits": waits}, tails(waits))]
