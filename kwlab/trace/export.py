"""What both exports have in common: the runs and queue events of a trace, one after the other."""

from collections.abc import Iterable, Iterator

from kwlab.trace.match import Matcher, Queued, Run, TakenBack
from kwlab.trace.reader import with_losses
from kwlab.tracepoint import Event

__all__ = ["Depth", "nanoseconds", "what_happened"]

CHANGES_DEPTH = ("sched_kthread_work_queue_work", "sched_kthread_work_execute_start")
Depth = tuple[float, str, int]  # time, worker, works that wait


def nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def what_happened(events: Iterable[Event]) -> Iterator[Queued | Run | TakenBack | Depth]:
    """Everything that a picture of the trace shows. A run comes when it is over; one that never is comes last."""
    matcher = Matcher()
    for event, lost in with_losses(events):
        if lost:
            matcher.lose()
        yield from matcher.feed(event)
        if event.name in CHANGES_DEPTH:
            worker = str(event.fields.get("worker") or matcher.serves(event.pid))
            yield (event.time, worker, matcher.depth(worker))
    yield from matcher.finish()
