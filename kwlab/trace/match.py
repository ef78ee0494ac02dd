"""Who ran when: the events of a trace put together to runs of works.

A start names the work and not the worker, so it is joined with the queue event of the same work, and every thread is
remembered with the worker it turned out to serve. A call that was refused leaves no event, and neither does a cancel:
that a work was taken back shows when it is queued again without having run, or when one that was queued behind it
starts first (works of one worker start in the order of their queue events; only flush works do not).
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from kwlab.tracepoint import Event

__all__ = ["FLUSH", "Matcher", "Queued", "Run", "TakenBack"]

FLUSH = "kthread_flush_work_fn"
RECENT = 64  # runs of a worker that are remembered; what a work waited for before them is not told apart


class Queued(NamedTuple):
    """A work that a call linked: `by` is the task ("<idle>": a timer's interrupt), `flags` ftrace's column."""

    time: float
    work: str
    function: str
    worker: str
    by: str
    by_pid: int
    flags: str
    again: bool  # while it ran: one more run is owed


class Run(NamedTuple):
    """One run of a work. `queued` is None if the trace begins later. `behind`: seconds that it waited for the runs of
    other works, by their function. `ended` is None if the trace ends earlier."""

    work: str
    function: str
    worker: str  # "?" if no queue event has named it
    thread: str
    pid: int
    cpu: int | None
    queued: Queued | None
    started: float
    ended: float | None
    behind: dict[str, float]

    @property
    def delay(self) -> float | None:
        """Seconds from the queue event to the start."""
        return None if self.queued is None else self.started - self.queued.time

    @property
    def time(self) -> float | None:
        """Seconds from start to end."""
        return None if self.ended is None else self.ended - self.started


class TakenBack(NamedTuple):
    """A queued work that did not run: cancelled, or queued anew by kthread_mod_delayed_work(); known since `time`."""

    queued: Queued
    time: float


@dataclass
class _Worker:
    waiting: dict[str, Queued]  # by work, in the order of the queue events
    recent: deque[Run]


class Matcher:
    """Feed it every event, in order; it answers what that completed. `finish` answers what is left.

    `forgotten` counts works whose fate is unknown, because the kernel lost events.
    """

    def __init__(self) -> None:
        self.forgotten = 0
        self._workers: dict[str, _Worker] = {}
        self._worker_of: dict[str, str] = {}  # by work that waits
        self._overtaken: dict[str, tuple[Queued, float]] = {}
        self._running: dict[int, Run] = {}  # by pid of the thread
        self._running_works: dict[str, int] = {}
        self._serves: dict[int, str] = {}  # by pid

    def feed(self, event: Event) -> Iterator[Queued | Run | TakenBack]:
        """What became known by `event`: a work was queued, has run, or had been taken back."""
        if event.name == "sched_kthread_work_queue_work":
            yield from self._queue(event)
        elif event.name == "sched_kthread_work_execute_start":
            yield from self._start(event)
        elif event.name == "sched_kthread_work_execute_end":
            yield from self._end(event)

    def depth(self, worker: str) -> int:
        """How many works wait for that worker."""
        found = self._workers.get(worker)
        return len(found.waiting) if found else 0

    def serves(self, pid: int) -> str:
        """The worker that the thread serves; "?" if no queue event has shown it."""
        return self._serves.get(pid, "?")

    def lose(self) -> None:
        """Events were lost here: what waits or runs may have run and ended meanwhile."""
        self.forgotten += len(self._worker_of) + len(self._overtaken) + len(self._running)
        for worker in self._workers.values():
            worker.waiting.clear()
        for left in (self._worker_of, self._overtaken, self._running, self._running_works):
            left.clear()

    def finish(self) -> Iterator[Run | TakenBack]:
        """Runs that have not ended, and works that were taken back for all that is known."""
        yield from self._running.values()
        yield from (TakenBack(queued, time) for queued, time in self._overtaken.values())

    def waiting(self) -> list[Queued]:
        """What is queued and has not started."""
        return [queued for worker in self._workers.values() for queued in worker.waiting.values()]

    def _of(self, worker: str) -> _Worker:
        found = self._workers.get(worker)
        if found is None:
            found = self._workers[worker] = _Worker({}, deque(maxlen=RECENT))
        return found

    def _queue(self, event: Event) -> Iterator[Queued | TakenBack]:
        work, function, name = (str(event.fields[key]) for key in ("work", "function", "worker"))
        if (before := self._take(work)) is not None:
            yield TakenBack(before, event.time)
        again = work in self._running_works
        queued = Queued(event.time, work, function, name, event.task, event.pid, event.flags, again)
        self._of(name).waiting[work] = queued
        self._worker_of[work] = name
        yield queued

    def _take(self, work: str) -> Queued | None:
        if work in self._overtaken:
            return self._overtaken.pop(work)[0]
        name = self._worker_of.pop(work, None)
        return None if name is None else self._workers[name].waiting.pop(work)

    def _start(self, event: Event) -> Iterator[Run]:
        work, pid = str(event.fields["work"]), event.pid
        if pid in self._running:  # its end is missing
            yield self._stop(pid, None)
        queued = self._take(work)
        name = self.serves(pid) if queued is None else queued.worker
        self._serves[pid] = name
        worker = self._of(name)
        if queued is not None and queued.function != FLUSH:
            self._overtake(worker, queued, event.time)
        behind = _behind(worker.recent, queued, event.time)
        function = str(event.fields["function"])
        self._running[pid] = Run(work, function, name, event.task, pid, event.cpu, queued, event.time, None, behind)
        self._running_works[work] = pid

    def _overtake(self, worker: _Worker, started: Queued, now: float) -> None:
        """What was queued before `started` and still waits, is not on the list any more."""
        for work, queued in list(worker.waiting.items()):
            if queued.time >= started.time:
                break
            del worker.waiting[work], self._worker_of[work]
            self._overtaken[work] = (queued, now)

    def _end(self, event: Event) -> Iterator[Run]:
        running = self._running.get(event.pid)
        if running is not None and running.work == str(event.fields["work"]):
            yield self._stop(event.pid, event.time)

    def _stop(self, pid: int, ended: float | None) -> Run:
        run = self._running.pop(pid)._replace(ended=ended)
        self._running_works.pop(run.work, None)
        self._workers[run.worker].recent.append(run)
        return run


def _behind(recent: deque[Run], queued: Queued | None, now: float) -> dict[str, float]:
    """Seconds between `queued` and `now` in which the worker ran other works, by function."""
    behind: dict[str, float] = {}
    if queued is None:
        return behind
    for run in reversed(recent):
        if run.ended is None:
            continue
        if run.ended <= queued.time:
            break
        shared = min(run.ended, now) - max(run.started, queued.time)
        behind[run.function] = behind.get(run.function, 0.0) + max(shared, 0.0)
    return behind
