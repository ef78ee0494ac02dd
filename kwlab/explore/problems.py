"""From the end of an execution to a bug with a name: what went wrong, in one sentence."""

from dataclasses import dataclass
from itertools import islice
from typing import Any

from kwlab.errors import ListCorruption, LockingError, UseAfterFree
from kwlab.explore.labels import waits_for
from kwlab.explore.places import file_name, innermost
from kwlab.explore.strategy import NonDeterministicError
from kwlab.kthread import KTHREAD_SHOULD_STOP
from kwlab.listhead import ListHead, list_empty, list_for_each
from kwlab.runtime.model import Ending, ForeignThreadError, ModelRuntime
from kwlab.runtime.model_guard import UncontrolledError
from kwlab.runtime.model_objects import ModelTask
from kwlab.runtime.model_ops import LOCK, SCHEDULE, WAIT
from kwlab.runtime.states import task_state_to_char
from kwlab.struct import freed

__all__ = ["INVERSION", "KINDS", "Bug", "bug_of"]

# A bug of the program, not of one interleaving: it is reported if the search finds nothing worse.
INVERSION = "lock order"

# Every kind of bug there is, for `check(allow=...)`.
KINDS = (
    "assertion",
    "data race",
    "deadlock",
    "double run",
    "endless",
    "exception",
    "invariant",
    "kernel warning",
    "list corruption",
    INVERSION,
    "locking",
    "lost wake-up",
    "recursive lock",
    "sleeping while atomic",
    "soft lockup",
    "thread left behind",
    "use after free",
    "work left behind",
)


@dataclass(frozen=True, slots=True)
class Bug:
    """A `kind` of `KINDS`, a `sentence`, the name of the `task` it happened in (if in one), the exception (if one)."""

    kind: str
    sentence: str
    task: str | None = None
    error: BaseException | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.sentence}"


def bug_of(runtime: ModelRuntime, ending: Ending) -> Bug | None:
    """The bug that an execution ended with; None if all is well, or it was not finished."""
    if ending.kind == "pruned":
        return None
    if ending.kind == "diverged":
        raise NonDeterministicError(ending.sentence)
    if ending.kind == "done":
        return _left_behind(runtime)
    if ending.kind == "stuck":
        return _stuck(runtime)
    name = ending.task.name if ending.task is not None else None
    if ending.kind == "error":
        assert ending.error is not None
        if isinstance(ending.error, (UncontrolledError, ForeignThreadError)):
            raise ending.error
        return Bug(_kind_of(ending.error), ending.sentence + _place(ending.error), name, ending.error)
    return Bug(ending.kind, ending.sentence, name)


def _kind_of(error: BaseException) -> str:
    for cls, kind in (
        (AssertionError, "assertion"),
        (UseAfterFree, "use after free"),
        (ListCorruption, "list corruption"),
        (LockingError, "locking"),
    ):
        if isinstance(error, cls):
            return kind
    return "exception"


def _place(error: BaseException) -> str:
    found = innermost(error.__traceback__)
    if found is None:
        return ""
    code, line = found
    return f" (in {code.co_name}(), {file_name(code.co_filename)}:{line})"


def queued(data: Any) -> int:
    """How many works wait on the ``work_list`` of a kthread's data; 0 if it has none, or was freed."""
    if data is None or freed(data):
        return 0
    head = getattr(data, "work_list", None)
    if not isinstance(head, ListHead) or head.next is None or list_empty(head):
        return 0
    # Not for ever: a list that was bent may never come back to its head.
    return sum(1 for _ in islice(list_for_each(head), 1000))


def _works(count: int) -> str:
    return "1 work" if count == 1 else f"{count} works"


def _stuck(runtime: ModelRuntime) -> Bug:
    waiting = [task for task in runtime.live if not task.is_device]
    everybody = "; ".join(_waits(task) for task in waiting)
    for task in waiting:
        if task.op != SCHEDULE or task.kthread is None or not task.kthread.started:
            continue
        if count := queued(task.kthread.data):
            return Bug("lost wake-up", f"{task.name} sleeps with {_works(count)} queued: {everybody}", task.name)
        if task.kthread.flags.word >> KTHREAD_SHOULD_STOP & 1:
            return Bug("lost wake-up", f"{task.name} sleeps although it was asked to stop: {everybody}", task.name)
    if all(task.op == SCHEDULE and task.kthread is not None for task in waiting):
        names = " and ".join(task.name for task in waiting)
        return Bug("thread left behind", f"the scenario is over and nobody stopped {names}: {everybody}")
    return Bug("deadlock", everybody, waiting[0].name)


def _waits(task: ModelTask) -> str:
    """Who waits for what, and who could end it."""
    if task.op == LOCK:
        owner = task.target.owner
        return f"{task.name} waits for {task.target.name}, held by {owner.name if owner else 'nobody'}"
    if task.op == WAIT:
        return f"{task.name} {waits_for(task.target)}"
    if task.kthread is not None and not task.kthread.started:
        return f"{task.name} was never woken (state D)"
    return f"{task.name} sleeps in schedule() (state {task_state_to_char(task._state)})"


def _left_behind(runtime: ModelRuntime) -> Bug | None:
    for task in runtime.all_tasks:
        if task.kthread is not None and (count := queued(task.kthread.data)):
            return Bug("work left behind", f"{task.name} has ended with {_works(count)} still queued", task.name)
    return None
