"""Events that were recorded, in a real kernel or on real threads, as a `Trace` that the `Player` plays.

Nobody chose anything here, so there are no preemptions by choice, no source lines and no bug: a step is an event, its
state what the events tell. A queue event does not say where on the list the work was put, but the list is run from its
head: so a work stands before those that start later. What no event tells is left out: the works that were on a list
before the trace began; what a task does until it is first switched or woken.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from kwlab.explore.trace_format import State, Step, TaskNote, TaskState, Trace, TraceEvent, Wakeup, WorkerState
from kwlab.trace.match import FLUSH
from kwlab.tracepoint import Event

__all__ = ["from_events"]

MOST = 5_000  # steps: a player of more is of no use to anybody
PREFIX = "sched_kthread_work_"
GONE = "XZ"  # letters of tasks that have ended


def from_events(events: Iterable[Event], name: str = "a recorded trace") -> Trace:
    """The trace of `events` (a `TraceReader`'s, or ``record().events``), in their order.

    Errors: `ValueError` if there is none that tells of workers, works or wake-ups, or more than 5,000.
    """
    told = list(islice((event for event in events if event.name in HANDLERS), MOST + 1))
    if not told:
        raise ValueError(f"{name}: no event in it says anything of workers, works or wake-ups")
    if len(told) > MOST:
        raise ValueError(f"{name}: more than {MOST:,} events are too long to be played: give a part of them")
    builder = _Builder(_starts(told))
    for number, event in enumerate(told):
        builder.step(number, event)
    return builder.trace(name)


def _starts(events: Sequence[Event]) -> dict[int, int]:
    """For each queue event, by number, the number of the event that starts that run; none if it was taken back."""
    starts: dict[int, int] = {}
    waiting: dict[str, int] = {}
    for number, event in enumerate(events):
        if event.name == f"{PREFIX}queue_work":
            waiting[str(event.fields["work"])] = number
        elif event.name == f"{PREFIX}execute_start":
            queued = waiting.pop(str(event.fields["work"]), None)
            if queued is not None:
                starts[queued] = number
    return starts


class _Builder:
    """What is known so far. Tasks by pid; the idle tasks of all CPUs are pid 0 and left out of the lanes."""

    def __init__(self, starts: Mapping[int, int]) -> None:
        self.starts = starts
        self.run_at: dict[str, int] = {}  # by label of a work that waits: the number of the event that starts it
        self.now = 0  # the number of the event
        self.numbers: dict[int, int] = {}
        self.names: list[str] = []
        self.tasks: dict[int, TaskState] = {}
        self.workers: dict[str, WorkerState] = {}
        self.works: dict[str, str] = {}  # label by address
        self.labels: dict[str, int] = {}
        self.serves: dict[int, str] = {}  # worker by number of the task
        self.running: dict[int, str] = {}
        self.waking: list[Wakeup] = []
        self.start = 0.0
        self.steps = [self._step(None, "", "", "before the first event", (), 0)]

    def trace(self, name: str) -> Trace:
        notes = tuple(TaskNote(number, task) for number, task in enumerate(self.names))
        schedule = tuple(step.task for step in self.steps if step.task is not None)
        return Trace(name, schedule, notes, {}, None, tuple(self.steps))

    def step(self, number: int, event: Event) -> None:
        """Take in one event, the `number`-th of all."""
        self.now = number
        if len(self.steps) == 1:
            self.start = event.time
        me = self.number(event.pid, event.task)
        if "out" not in event.fields and not event.name == "sched_switch":
            self.tasks[me] = TaskState("R", "runs")
            for other, task in self.tasks.items():
                if other != me and task.doing == "runs" and event.cpu is None:
                    self.tasks[other] = TaskState("R", "could run")
        op, tell = HANDLERS[event.name]
        sentence, target = tell(self, event, me)
        shown = TraceEvent(event.name, {key: self._shown(key, value) for key, value in event.fields.items()})
        now = round((event.time - self.start) * 1e6)
        when = f"{now:,} µs: " if now < 10_000_000 else f"{now / 1e6:,.3f} s: "
        self.steps.append(self._step(me, op, target, when + sentence, (shown,), now // 1000))

    def _step(
        self, task: int | None, op: str, target: str, sentence: str, events: tuple[TraceEvent, ...], now: int
    ) -> Step:
        index = len(self.steps) if task is not None else 0
        state = State(now, dict(self.tasks), tuple(self.workers.values()), tuple(self.waking))
        return Step(index, task, op, target, sentence, False, () if task is None else (task,), None, events, state)

    def number(self, pid: int, name: str) -> int:
        if pid not in self.numbers:
            self.numbers[pid] = len(self.names)
            self.names.append("idle" if pid == 0 else name)
            self.tasks[self.numbers[pid]] = TaskState("?", "not seen yet")
        return self.numbers[pid]

    def label(self, address: str, function: str) -> str:
        """A name for a work: its function, with a number where several have the same."""
        if address not in self.works or not self.works[address].startswith(self.short(function)):
            short = self.short(function)
            self.labels[short] = self.labels.get(short, 0) + 1
            self.works[address] = short if self.labels[short] == 1 else f"{short}#{self.labels[short]}"
        return self.works[address]

    @staticmethod
    def short(function: str) -> str:
        return "flush" if function == FLUSH else function.partition(" [")[0]

    def _shown(self, key: str, value: Any) -> Any:
        return self.works.get(str(value), value) if key == "work" else value

    def worker_of(self, address: str) -> WorkerState:
        if address not in self.workers:
            self.workers[address] = WorkerState("worker" if not self.workers else f"worker {len(self.workers) + 1}")
        return self.workers[address]

    # -------------------------------------------------------------------------------------------------- the events

    def queue(self, event: Event, me: int) -> tuple[str, str]:
        fields = event.fields
        address = str(fields["worker"])
        worker, work = self.worker_of(address), self.label(str(fields["work"]), str(fields["function"]))
        others = [one for one in worker.work_list if one != work]  # it was taken back, if it was there
        place = len(others)
        if (mine := self.starts.get(self.now)) is not None:
            later = (n for n, one in enumerate(others) if self.run_at.get(one, mine) > mine)
            place = next(later, place)
            self.run_at[work] = mine
        else:
            self.run_at.pop(work, None)
        self.workers[address] = replace(worker, work_list=(*others[:place], work, *others[place:]))
        where = " in an interrupt" if event.flags[2:3] in ("h", "H", "s") else ""
        return f"{event.task}{where} queues {work}", work

    def begin(self, event: Event, me: int) -> tuple[str, str]:
        work = self.label(str(event.fields["work"]), str(event.fields["function"]))
        address = next(
            (one for one, worker in self.workers.items() if work in worker.work_list), self.serves.get(me, "")
        )
        if address:
            worker = self.worker_of(address)
            left = tuple(one for one in worker.work_list if one != work)
            self.workers[address] = replace(worker, name=event.task, task=me, work_list=left, current_work=work)
            self.serves[me] = address
        return f"{event.task} takes {work} off the list and runs it", work

    def end(self, event: Event, me: int) -> tuple[str, str]:
        work = self.label(str(event.fields["work"]), str(event.fields["function"]))
        if (address := self.serves.get(me)) is not None:
            self.workers[address] = replace(self.workers[address], current_work=None)
        return f"{event.task} has run {work}", work

    def wake(self, event: Event, me: int) -> tuple[str, str]:
        woken = self.number(event.fields["pid"], str(event.fields["comm"]))
        self.waking = [one for one in self.waking if one.task != woken] + [Wakeup(me, woken)]
        return f"{event.task} wakes {event.fields['comm']}", str(event.fields["comm"])

    def woken(self, event: Event, me: int) -> tuple[str, str]:
        woken = self.number(event.fields["pid"], str(event.fields["comm"]))
        self.waking = [one for one in self.waking if one.task != woken]
        self.tasks[woken] = TaskState("R", "could run")
        return f"{event.fields['comm']} may run again: it is on CPU {event.fields['target_cpu']}'s queue", ""

    def switch(self, event: Event, me: int) -> tuple[str, str]:
        if "next_pid" not in event.fields:
            return self._own_switch(event)
        fields = event.fields
        before = self.number(fields["prev_pid"], str(fields["prev_comm"]))
        after = self.number(fields["next_pid"], str(fields["next_comm"]))
        letter = str(fields["prev_state"])
        self.tasks[before] = _left(letter) if fields["prev_pid"] else TaskState("I", "sleeps")
        self.waking = [one for one in self.waking if one.task != after]
        self.tasks[after] = TaskState("R", "runs")
        how = "is preempted" if letter.startswith("R") else "sleeps" if letter[0] in "SDIW" else "ends"
        left = f"{fields['prev_comm']} {how} ({letter})" if fields["prev_pid"] else f"CPU {event.cpu} was idle"
        then = f"{fields['next_comm']} gets CPU {event.cpu}" if fields["next_pid"] else f"CPU {event.cpu} goes idle"
        return f"{left}; {then}", ""

    def _own_switch(self, event: Event) -> tuple[str, str]:
        """On kwlab's threads a switch tells of one task: it goes to sleep, or is back."""
        task = self.number(event.fields["pid"], str(event.fields["comm"]))
        if event.fields["out"]:
            self.tasks[task] = _left(str(event.fields["prev_state"] or "S"))
            return f"{event.fields['comm']} sleeps ({event.fields['prev_state']})", ""
        self.tasks[task] = TaskState("R", "runs")
        self.waking = [one for one in self.waking if one.task != task]
        return f"{event.fields['comm']} runs again", ""


def _left(letter: str) -> TaskState:
    if letter.startswith("R"):
        return TaskState("R", "preempted")
    return TaskState(letter[0], "exited" if letter[0] in GONE else "sleeps")


# The events that are steps: what a step of theirs is called, and what it tells.
HANDLERS: Mapping[str, tuple[str, Any]] = {
    f"{PREFIX}queue_work": ("queue_work", _Builder.queue),
    f"{PREFIX}execute_start": ("execute_start", _Builder.begin),
    f"{PREFIX}execute_end": ("execute_end", _Builder.end),
    "sched_waking": ("wake_up", _Builder.wake),
    "sched_wakeup": ("enqueue_task", _Builder.woken),
    "sched_switch": ("switch", _Builder.switch),
}
