"""The rows that the terminal and the HTML report both show."""

from collections.abc import Iterator

from kwlab.draw.axes import seconds
from kwlab.trace.analysis import Analysis, FunctionSummary, WorkerSummary
from kwlab.trace.match import Run

__all__ = [
    "BRIEF_FUNCTION",
    "BRIEF_WORKER",
    "FUNCTION_HEADS",
    "SLOW_HEADS",
    "WORKER_HEADS",
    "function_rows",
    "notes",
    "slow_rows",
    "worker_rows",
]

WORKER_HEADS = ("worker", "pid", "runs", "deepest", "delay: half", "99 %", "longest", "busy", "wakings")
FUNCTION_HEADS = (
    "worker", "function", "queued", "while it ran", "runs", "taken back", "delay: half", "longest", "run: half",
    "longest run", "waited for", "queued by",
)  # fmt: skip
# The columns for which a terminal has room.
BRIEF_WORKER = (0, 1, 2, 3, 4, 5, 6, 7)
BRIEF_FUNCTION = (1, 2, 4, 5, 6, 7, 8)
SLOW_HEADS = ("delay", "function", "worker", "queued by", "in", "of it behind")


def worker_rows(analysis: Analysis) -> Iterator[tuple[str, ...]]:
    """The workers, the busiest first."""
    for worker in sorted(analysis.workers.values(), key=lambda worker: -worker.runs):
        yield (
            worker.name,
            str(worker.pid or "?"),
            str(worker.runs),
            str(worker.depth.most),
            *_delays(worker),
            seconds(worker.time.total),
            str(worker.wakeups),
        )


def _delays(of: WorkerSummary) -> tuple[str, str, str]:
    if not of.delay.count:
        return ("?", "?", "?")
    return seconds(of.delay.median), seconds(of.delay.quantile(0.99)), seconds(of.delay.most)


def function_rows(analysis: Analysis) -> Iterator[tuple[str, ...]]:
    """The functions of all workers."""
    for worker in sorted(analysis.workers.values(), key=lambda worker: -worker.runs):
        for one in sorted(worker.functions.values(), key=lambda one: -one.runs):
            yield (
                worker.name,
                one.function,
                str(one.queued),
                str(one.again),
                str(one.runs),
                str(one.taken_back),
                seconds(one.delay.median) if one.delay.count else "?",
                seconds(one.delay.most) if one.delay.count else "?",
                seconds(one.time.median) if one.time.count else "?",
                seconds(one.time.most) if one.time.count else "?",
                _waited_for(one),
                ", ".join(f"{by} ({count})" for by, count in one.queued_by.most_common(3)),
            )


def _waited_for(one: FunctionSummary) -> str:
    longest = sorted(one.behind.items(), key=lambda item: -item[1])[:2]
    return ", ".join(f"{function} ({seconds(time)})" for function, time in longest)


def slow_rows(analysis: Analysis) -> Iterator[tuple[str, ...]]:
    """The runs that waited longest."""
    for delay, _, run in analysis.slowest:
        behind = ", ".join(f"{function} ({seconds(time)})" for function, time in run.behind.items())
        yield (seconds(delay), run.function, run.thread, *_queued(run), behind or "nothing: it is all wake-up")


def _queued(run: Run) -> tuple[str, str]:
    if run.queued is None:
        return "?", "?"
    context = run.queued.flags[2:3]
    where = {"h": "a hard interrupt", "H": "a hard interrupt", "s": "a soft interrupt (a timer)"}
    return f"{run.queued.by}-{run.queued.by_pid}", where.get(context, "a task" if run.queued.flags else "?")


def notes(analysis: Analysis) -> Iterator[str]:
    """What the numbers do not say."""
    if analysis.forgotten:
        yield f"The kernel lost events: the fate of {analysis.forgotten} works is not known."
    if left := sum(worker.still_queued for worker in analysis.workers.values()):
        yield f"{left} works are still queued at the end of the trace."
    again = sum(one.again for worker in analysis.workers.values() for one in worker.functions.values())
    if again:
        yield f"{again} works were queued while they ran: one more run each."
    yield (
        "A call that found its work pending was refused and left no event: how many calls were coalesced "
        "a trace cannot say."
    )
