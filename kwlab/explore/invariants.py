"""The invariants of a kthread_worker, as assertions that any scenario can switch on: ``check(s, invariants=True)``.

All that a worker's lock guards changes only in its sections, so the lists are looked at where a section ends, and
compared with what they were before (`kwlab.explore.sections`). The monitor is told where the run of a work begins and
ends, whoever's loop it is, and where a cancel returns (`kwlab.explore.watched`). Workers are known by their threads;
one that never had a thread is not watched.
"""

import sys
from collections.abc import Iterable
from typing import Any

from kwlab.explore.sections import Section
from kwlab.explore.watched import Watched, label, watch_cancels
from kwlab.listhead import ListHead
from kwlab.runtime.base import local, probes
from kwlab.runtime.model import Ending, ModelRuntime
from kwlab.runtime.model_objects import ModelTask, unobserved
from kwlab.runtime.model_ops import LOCK, UNLOCK, WAKE
from kwlab.runtime.states import TASK_DEAD
from kwlab.struct import Struct, freed

__all__ = ["INVARIANTS", "Monitor", "chosen"]

INVARIANTS = {
    "I1": "a work is linked in at most one list, once",
    "I2": "a work that is taken off the work list runs exactly once",
    "I3": "the thread never sleeps while works are on the work list",
    "I4": "current_work is None exactly if the loop's last look found the list empty",
    "I5": "a work is never linked while it is being cancelled",
    "I6": "when a cancel returns, the work is neither linked nor running",
    "I7": "after the callback the loop looks into the work no more",
    "I8": "works run one at a time, in the order of the list",
    "I9": "every queueing is traced once, and so are the beginning and the end of every run",
    "I10": "queueing wakes the thread exactly if current_work is None",
}


def chosen(invariants: bool | Iterable[str]) -> tuple[str, ...]:
    """The names meant by ``check(invariants=...)``. Errors: `ValueError` for a name that is none."""
    if isinstance(invariants, bool):
        return tuple(INVARIANTS) if invariants else ()
    names = tuple(invariants)
    unknown = [name for name in names if name not in INVARIANTS]
    if unknown:
        raise ValueError(f"check(invariants={unknown!r}): the invariants are {', '.join(INVARIANTS)}")
    return names


class Monitor:
    """The invariants of one execution. A broken one ends it, with kind "invariant" (a second run: "double run")."""

    def __init__(self, runtime: ModelRuntime, names: Iterable[str]) -> None:
        self.runtime = runtime
        self.names = frozenset(names)
        self._watched: dict[Any, Watched] = {}  # by lock
        self._traps: dict[ModelTask, tuple[Any, type]] = {}  # by thread: the work that it ran, and its class

    def attach(self) -> None:
        """Watch the runtime, behind whoever watches it already."""
        runtime = self.runtime
        runtime.monitor = self
        runtime.extra_state.append(lambda: [watched.state() for watched in self._watched.values()])
        observer = runtime.observer

        def both(task: ModelTask, op: int, target: Any, result: Any) -> None:
            if observer is not None:
                observer(task, op, target, result)
            with unobserved(task):
                self._observe(task, op, target, result)

        runtime.observer = both
        probes.append(self._probe)

    def close(self) -> None:
        """The execution is over."""
        self.runtime.monitor = None
        probes.remove(self._probe)
        for task in list(self._traps):
            self._release(task)

    def at_the_end(self, ending: Ending) -> tuple[str, str] | None:
        """Kind and sentence of what shows only at the end; None if all is well."""
        for watched in self._watched.values():
            name = watched.thread.name
            if ending.kind == "stuck" and "I3" in self.names and watched.oversleeps():
                return "invariant", self._sentence("I3", f"{name} sleeps, and the list is not empty")
            if ending.kind == "done" and "I2" in self.names and watched.owed:
                return "invariant", self._sentence("I2", f"{label(watched.owed[0])} was taken by {name} and never ran")
        return None

    # ------------------------------------------------------------------------------------------------------- events

    def _observe(self, task: ModelTask, op: int, target: Any, result: Any) -> None:
        if op == LOCK:
            self._release(task)
            watched = self._of_lock(target)
            if watched is not None:
                watched.woken, watched.queued = 0, []
        elif op == UNLOCK:
            watched = self._of_lock(target)
            if watched is not None and not freed(watched.worker):
                self._section_ends(task, watched)
        elif op == WAKE:
            for watched in self._watched.values():
                if target is watched.thread and any(self._watched.get(lock) is watched for lock in task.held):
                    watched.woken += 1

    def _of_lock(self, lock: Any) -> Watched | None:
        watched = self._watched.get(lock)
        if watched is not None and watched.thread._state != TASK_DEAD:
            return watched
        for task in self.runtime.all_tasks:
            worker = task.kthread.data if task.kthread is not None else None
            if not isinstance(worker, Struct) or freed(worker) or getattr(worker, "lock", None) is not lock:
                continue
            if watched is not None:
                watched.thread = task  # the latest that was started for it
            elif isinstance(getattr(worker, "delayed_work_list", None), ListHead):
                watch_cancels(sys.modules.get(type(worker).__module__))
                watched = self._watched[lock] = Watched(worker, task)
        return watched

    def _probe(self, name: str, subject: Any, fields: dict[str, Any]) -> None:
        task = getattr(local, "task", None)
        if not isinstance(task, ModelTask) or task.runtime is not self.runtime or not name.startswith("sched_kthread"):
            return
        watched = self._of_lock(subject.lock) if not freed(subject) else None
        if watched is None:
            return
        if name == "sched_kthread_work_queue_work":
            watched.queued.append(fields["work"] if isinstance(fields["work"], int) else id(fields["work"]))
        else:
            watched.traces = True
            watched.untraced[name.endswith("end")] -= 1

    def begins(self, task: ModelTask, work: Any) -> None:
        """`task` is about to call the function of `work`."""
        watched = self._of_thread(task)
        if watched is None:
            return
        self._release(task)
        name = label(work)
        if watched.running:
            self._broken("I8", f"{name} begins while {label(watched.running[-1])} runs on the same worker")
        if not any(work is owed for owed in watched.owed):
            if "I2" in self.names:
                self.runtime.fail("double run", f"{name} runs on {task.name}, and was not queued for this run")
        elif watched.owed[0] is not work:
            self._broken("I8", f"{name} begins before {label(watched.owed[0])}, which was ahead of it on the list")
        watched.owed = [owed for owed in watched.owed if owed is not work]
        watched.running.append(work)
        watched.untraced[0] += 1

    def ends(self, task: ModelTask, work: Any) -> None:
        """The function of `work` is over."""
        watched = self._of_thread(task)
        if watched is None or self.runtime.running is not task:
            return
        watched.running = [running for running in watched.running if running is not work]
        watched.untraced[1] += 1
        if "I7" in self.names and not freed(work):
            self._traps[task] = work, work.__class__
            work.__class__ = self._trap(task, work.__class__, label(work))

    def cancelled(self, work: Any) -> None:
        """A cancel of `work` is about to return."""
        if "I6" not in self.names or freed(work):
            return
        if work.node.next is not work.node:
            self._broken("I6", f"{label(work)} is linked when its cancel returns")
        if any(work is running for watched in self._watched.values() for running in watched.running):
            self._broken("I6", f"{label(work)} runs when its cancel returns")

    def _section_ends(self, task: ModelTask, watched: Watched) -> None:
        section = Section(task, watched, [other for other in self._watched.values() if other is not watched])
        for name, what in section.broken():
            self._broken(name, what)
        section.remember()
        if watched.oversleeps():
            self._broken("I3", f"{watched.thread.name} sleeps, and {label(watched.ready[0])} is on its list")

    # ----------------------------------------------------------------------------------------------------- the rest

    def _of_thread(self, task: ModelTask) -> Watched | None:
        return next((watched for watched in self._watched.values() if watched.thread is task), None)

    def _broken(self, name: str, what: str) -> None:
        if name in self.names:
            self.runtime.fail("invariant", self._sentence(name, what))

    def _sentence(self, name: str, what: str) -> str:
        return f"{name} is broken: {what} ({INVARIANTS[name]})"

    def _trap(self, task: ModelTask, cls: type, name: str) -> type:
        def look(work: Any, field: str) -> Any:
            if local.task is task and not task.unseen and field != "__class__":
                self._release(task)
                self._broken("I7", f"{task.name} looks at {field} of {name} after its function returned")
            return object.__getattribute__(work, field)

        return type(cls.__name__, (cls,), {"__slots__": (), "__getattribute__": look})

    def _release(self, task: ModelTask) -> None:
        work, cls = self._traps.pop(task, (None, None))
        if work is not None and not freed(work):
            work.__class__ = cls
