"""What a trace says of every worker and of every function it ran, in one pass and in bounded memory."""

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from kwlab.trace.match import Matcher, Queued, Run, TakenBack
from kwlab.trace.reader import with_losses
from kwlab.trace.sample import Sample, Steps
from kwlab.tracepoint import Event

__all__ = ["Analysis", "FunctionSummary", "WorkerSummary", "analyse"]

KEPT_RUNS = 20_000  # for the pictures
SLOWEST = 10
NAMES = 1_000  # different names that a table counts apart; all others together


@dataclass
class FunctionSummary:
    """All runs of one function on one worker. Times in seconds."""

    function: str
    queued: int = 0
    again: int = 0  # of these while it ran: one more run owed
    runs: int = 0
    taken_back: int = 0
    delay: Sample = field(default_factory=Sample)
    time: Sample = field(default_factory=Sample)
    behind: dict[str, float] = field(default_factory=dict)  # waited for other functions, seconds
    queued_by: Counter[str] = field(default_factory=Counter)


@dataclass
class WorkerSummary:
    """One worker: `address` as the trace has it ("?" if no event named it)."""

    address: str
    thread: str = ""
    pid: int = 0
    functions: dict[str, FunctionSummary] = field(default_factory=dict)
    depth: Steps = field(default_factory=Steps)
    delay: Sample = field(default_factory=Sample)
    time: Sample = field(default_factory=Sample)
    waiting_behind: float = 0.0  # seconds of all delays in which another work ran
    wakeups: int = 0
    still_queued: int = 0

    @property
    def name(self) -> str:
        return self.thread or f"worker {self.address}"

    def of(self, function: str) -> FunctionSummary:
        function = function if function in self.functions or len(self.functions) < NAMES else "(others)"
        if function not in self.functions:
            self.functions[function] = FunctionSummary(function)
        return self.functions[function]

    @property
    def runs(self) -> int:
        return sum(one.runs for one in self.functions.values())


class Analysis:
    """Feed events, then `finish`."""

    def __init__(self) -> None:
        self.workers: dict[str, WorkerSummary] = {}
        self.events: Counter[str] = Counter()
        self.first = self.last = 0.0
        self.runs: list[Run] = []  # the first 20,000
        self.slowest: list[tuple[float, int, Run]] = []  # by delay, the longest first
        self.forgotten = 0
        self._matcher = Matcher()
        self._by_pid: dict[int, WorkerSummary] = {}
        self._wakeups: Counter[int] = Counter()  # of any thread: whose it is may show later
        self._total = 0

    def feed(self, event: Event) -> None:
        """Take in one event; events must come in the order of time."""
        self._total += 1
        if self._total == 1:
            self.first = event.time
        self.last = max(self.last, event.time)
        name = event.name if event.name in self.events or len(self.events) < NAMES else "(others)"
        self.events[name] += 1
        if event.name.startswith("sched_kthread_work_"):
            for what in self._matcher.feed(event):
                self._note(what)
            self._depth(event)
        elif event.name == "sched_waking":
            self._wakeups[event.fields["pid"]] += 1

    def lose(self) -> None:
        """The kernel lost events here."""
        self._matcher.lose()
        self.forgotten = self._matcher.forgotten

    def finish(self) -> "Analysis":
        """The trace is over."""
        for what in self._matcher.finish():
            self._note(what)
        for queued in self._matcher.waiting():
            self._worker(queued.worker).still_queued += 1
        for pid, worker in self._by_pid.items():
            worker.wakeups += self._wakeups[pid]
        self.slowest.sort(reverse=True)
        return self

    def _worker(self, address: str) -> WorkerSummary:
        address = address if address in self.workers or len(self.workers) < NAMES else "(others)"
        if address not in self.workers:
            self.workers[address] = WorkerSummary(address)
        return self.workers[address]

    def _depth(self, event: Event) -> None:
        if not event.name.endswith("_end"):
            worker = str(event.fields.get("worker") or self._matcher.serves(event.pid))
            self._worker(worker).depth.add(event.time, self._matcher.depth(worker))

    def _note(self, what: Queued | Run | TakenBack) -> None:
        if isinstance(what, Queued):
            function = self._worker(what.worker).of(what.function)
            function.queued += 1
            function.again += what.again
            by = what.by if what.by in function.queued_by or len(function.queued_by) < NAMES else "(others)"
            function.queued_by[by] += 1
        elif isinstance(what, TakenBack):
            self._worker(what.queued.worker).of(what.queued.function).taken_back += 1
        else:
            self._run(what)

    def _run(self, run: Run) -> None:
        worker = self._worker(run.worker)
        worker.thread, worker.pid = run.thread, run.pid
        self._by_pid[run.pid] = worker
        function = worker.of(run.function)
        function.runs += 1
        for times, value in ((function.delay, run.delay), (function.time, run.time)):
            if value is not None:
                times.add(value)
        for other, seconds in run.behind.items():
            other = other if other in function.behind or len(function.behind) < NAMES else "(others)"
            function.behind[other] = function.behind.get(other, 0.0) + seconds
            worker.waiting_behind += seconds
        if run.time is not None:
            worker.time.add(run.time)
        if run.delay is not None:
            worker.delay.add(run.delay)
            entry = (run.delay, len(self.runs), run)
            if len(self.slowest) < SLOWEST:
                heapq.heappush(self.slowest, entry)
            elif run.delay > self.slowest[0][0]:
                heapq.heapreplace(self.slowest, entry)
        if len(self.runs) < KEPT_RUNS:
            self.runs.append(run)

    def as_json(self) -> dict[str, Any]:
        """All of it but the single runs. Times in seconds."""
        return {
            "seconds": self.last - self.first,
            "events": dict(self.events),
            "forgotten": self.forgotten,
            "workers": [
                {
                    "worker": worker.address,
                    "thread": worker.thread,
                    "pid": worker.pid,
                    "runs": worker.runs,
                    "delay": worker.delay.as_json(),
                    "run_time": worker.time.as_json(),
                    "waiting_behind": worker.waiting_behind,
                    "wakeups": worker.wakeups,
                    "deepest": worker.depth.most,
                    "still_queued": worker.still_queued,
                    "functions": [
                        {
                            "function": one.function,
                            "queued": one.queued,
                            "queued_while_running": one.again,
                            "runs": one.runs,
                            "taken_back": one.taken_back,
                            "delay": one.delay.as_json(),
                            "run_time": one.time.as_json(),
                            "behind": one.behind,
                            "queued_by": dict(one.queued_by),
                        }
                        for one in worker.functions.values()
                    ],
                }
                for worker in self.workers.values()
            ],
        }


def analyse(events: Iterable[Event]) -> Analysis:
    """The analysis of a whole trace."""
    analysis = Analysis()
    for event, lost in with_losses(events):
        if lost:
            analysis.lose()
        analysis.feed(event)
    return analysis.finish()
