"""What a trace is: one execution, step by step, as plain values that can be stored as JSON and drawn.

Nothing here knows how traces come about (`kwlab.explore.trace` records them). `steps[0]` is the start, before anything
was chosen; `steps[k]` is the k-th step, and its `state` is how everything stood right after it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["FORMAT", "BugNote", "Place", "Source", "State", "Step", "TaskNote", "TaskState", "Trace", "TraceEvent"]
__all__ += ["Wakeup", "WorkerState"]

FORMAT = "kwlab-trace 1"


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the learner's or the worker's code: `file` without a path, `function` as `Trace.sources` has it, `text`
    without its indentation."""

    file: str
    function: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a function: `lines`, the first of which is line `first` of its file."""

    first: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TaskNote:
    """A task: its number in schedules, its name, and whether it is a `device` (the timer interrupt) and no thread."""

    id: int
    name: str
    device: bool = False


@dataclass(frozen=True, slots=True)
class BugNote:
    """What went wrong: a kind of `kwlab.explore.problems.KINDS`, a sentence, the name of the task if it was in one."""

    kind: str
    sentence: str
    task: str | None = None


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """A tracepoint that fired during a step; works, workers and tasks in `fields` are their labels."""

    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskState:
    """How a task stands.

    `state` is the letter that ps would show. `doing` is "runs" (it took this step and can go on), "could run",
    "preempted", "sleeps", "never woken", "waits for lock X held by Y", "waits for completion Z", "failed", "exited";
    of a device "armed" or "idle". `place` is the line it is at, `held` the locks it holds, in the order taken.
    """

    state: str
    doing: str
    place: Place | None = None
    held: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerState:
    """What a worker's fields held: works by label. `name` is its thread's; `waiters` wait for its lock.

    `task`, `lock_holder` and `waiters` are numbers of tasks. A worker that was freed is `freed` and empty.
    """

    name: str
    task: int | None = None
    lock_holder: int | None = None
    waiters: tuple[int, ...] = ()
    work_list: tuple[str, ...] = ()
    delayed_work_list: tuple[str, ...] = ()
    current_work: str | None = None
    flags: int = 0
    freed: bool = False


@dataclass(frozen=True, slots=True)
class Wakeup:
    """A wake-up on its way: task `by` is about to wake task `task`."""

    by: int
    task: int


@dataclass(frozen=True, slots=True)
class State:
    """How everything stood after a step: virtual time `now` in jiffies, tasks by number, workers as they appeared."""

    now: int
    tasks: Mapping[int, TaskState]
    workers: tuple[WorkerState, ...] = ()
    wakeup_in_flight: tuple[Wakeup, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `task` did `op` on `target`.

    `enabled` are the tasks that could have taken this step; `preemption` is true if the task before was one of them.
    `place` is the line that did it; `sentence` says what it means. At the start (index 0) there is no task and no op.
    """

    index: int
    task: int | None
    op: str
    target: str
    sentence: str
    preemption: bool
    enabled: tuple[int, ...]
    place: Place | None
    events: tuple[TraceEvent, ...]
    state: State


@dataclass(frozen=True, slots=True)
class Trace:
    """One execution of the scenario called `scenario`.

    `schedule` are the tasks of the steps, `sources` the functions met, by file and name. `enabled` are the tasks that
    could go on behind the last step: none if everything was over.
    """

    scenario: str
    schedule: tuple[int, ...]
    tasks: tuple[TaskNote, ...]
    sources: Mapping[str, Mapping[str, Source]]
    bug: BugNote | None
    steps: tuple[Step, ...]
    enabled: tuple[int, ...] = ()

    def name_of(self, task: int | None) -> str:
        """The name of task number `task`; "" for None."""
        return "" if task is None else self.tasks[task].name

    def to_dict(self) -> dict[str, Any]:
        """The trace as JSON has it, marked with `FORMAT`."""
        plain = {"format": FORMAT, **asdict(self)}
        for step in plain["steps"]:
            # JSON's keys are text.
            step["state"]["tasks"] = {str(number): task for number, task in step["state"]["tasks"].items()}
        return plain

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "Trace":
        """The trace that `to_dict` made this of. Errors: `ValueError` if it is none, or of another version."""
        found = given.get("format") if isinstance(given, Mapping) else given
        if found != FORMAT:
            raise ValueError(f"this is no trace of the format {FORMAT!r}: its mark is {found!r}; record it anew")
        try:
            return _trace(given)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this trace is damaged: {type(error).__name__}: {error}") from error


def _trace(given: Mapping[str, Any]) -> Trace:
    return Trace(
        scenario=given["scenario"],
        schedule=tuple(given["schedule"]),
        tasks=tuple(TaskNote(**task) for task in given["tasks"]),
        sources={
            file: {name: Source(one["first"], tuple(one["lines"])) for name, one in functions.items()}
            for file, functions in given["sources"].items()
        },
        bug=None if given["bug"] is None else BugNote(**given["bug"]),
        steps=tuple(_step(step) for step in given["steps"]),
        enabled=tuple(given["enabled"]),
    )


def _step(given: Mapping[str, Any]) -> Step:
    return Step(
        **{
            **given,
            "enabled": tuple(given["enabled"]),
            "place": _place(given["place"]),
            "events": tuple(TraceEvent(**event) for event in given["events"]),
            "state": _state(given["state"]),
        }
    )


def _state(given: Mapping[str, Any]) -> State:
    return State(
        now=given["now"],
        tasks={
            int(number): TaskState(task["state"], task["doing"], _place(task["place"]), tuple(task["held"]))
            for number, task in given["tasks"].items()
        },
        workers=tuple(_worker(worker) for worker in given["workers"]),
        wakeup_in_flight=tuple(Wakeup(**wakeup) for wakeup in given["wakeup_in_flight"]),
    )


def _worker(given: Mapping[str, Any]) -> WorkerState:
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    return WorkerState(**fields)


def _place(given: Mapping[str, Any] | None) -> Place | None:
    return None if given is None else Place(**given)
