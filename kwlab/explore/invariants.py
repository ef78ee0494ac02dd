"""The invariants of a kthread_worker, as assertions that any scenario can switch on: ``check(s, invariants=True)``.

All that a worker's lock guards changes only in its sections, so the lists are looked at where a section ends, and
compared with what they were before. A work's function is called through `Called`, which notes where a run begins and
ends, whoever's loop it is. Workers are known by their threads; one that never had a thread is not watched.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from kwlab.listhead import ListHead
from kwlab.runtime.base import local, probes
from kwlab.runtime.model import Ending, ModelRuntime
from kwlab.runtime.model_objects import ModelTask, unobserved
from kwlab.runtime.model_ops import LOCK, SCHEDULE, UNLOCK, WAKE
from kwlab.runtime.states import TASK_DEAD, TASK_NORMAL
from kwlab.struct import Struct, freed

__all__ = ["INVARIANTS", "Monitor", "chosen", "swapped_back"]

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


class Called:
    """The function of a work, as the monitor has it called."""

    def __init__(self, function: Callable[[Any], object]) -> None:
        self.function = function
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def __call__(self, work: Any) -> None:
        task = local.task
        monitor = task.runtime.monitor
        if monitor is None:
            self.function(work)
            return
        with unobserved(task):
            monitor.begins(task, work)
        try:
            self.function(work)
        finally:
            with unobserved(task):
                monitor.ends(task, work)


class Watched:
    """One worker, and what is known of it since the last section of its lock."""

    def __init__(self, worker: Any, thread: ModelTask) -> None:
        self.worker = worker
        self.thread = thread
        self.ready = _works(worker.work_list)
        self.delayed = _works(worker.delayed_work_list)
        self.current_work: Any = worker.current_work
        self.owed: list[Any] = []  # taken off the list by the loop, and not run yet
        self.running: list[Any] = []
        self.woken = 0  # wake-ups of the thread in the section under way
        self.queued: list[int] = []  # addresses of works whose queueing was traced in it
        self.traces = False  # whether the loop has tracepoints
        self.untraced = [0, 0]  # beginnings and ends of runs less those that were traced

    def state(self) -> tuple[Any, ...]:
        """What of it is about the future."""
        return (
            self.worker,
            self.current_work,
            self.owed,
            self.running,
            self.woken,
            len(self.queued),
            self.traces,
            self.untraced,
        )


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
            if ending.kind == "stuck" and "I3" in self.names and self._oversleeps(watched):
                return "invariant", self._sentence("I3", f"{name} sleeps, and the list is not empty")
            if ending.kind == "done" and "I2" in self.names and watched.owed:
                return "invariant", self._sentence("I2", f"{_label(watched.owed[0])} was taken by {name} and never ran")
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
                _watch_cancels(sys.modules.get(type(worker).__module__))
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
        name = _label(work)
        if watched.running:
            self._broken("I8", f"{name} begins while {_label(watched.running[-1])} runs on the same worker")
        if not any(work is owed for owed in watched.owed):
            if "I2" in self.names:
                self.runtime.fail("double run", f"{name} runs on {task.name}, and was not queued for this run")
        elif watched.owed[0] is not work:
            self._broken("I8", f"{name} begins before {_label(watched.owed[0])}, which was ahead of it on the list")
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
            work.__class__ = self._trap(task, work.__class__, _label(work))

    def cancelled(self, work: Any) -> None:
        """A cancel of `work` is about to return."""
        if "I6" not in self.names or freed(work):
            return
        if work.node.next is not work.node:
            self._broken("I6", f"{_label(work)} is linked when its cancel returns")
        if any(work is running for watched in self._watched.values() for running in watched.running):
            self._broken("I6", f"{_label(work)} runs when its cancel returns")

    # ------------------------------------------------------------------------------------------------ a section ends

    def _section_ends(self, task: ModelTask, watched: Watched) -> None:
        worker = watched.worker
        ready, delayed = _works(worker.work_list), _works(worker.delayed_work_list)
        before = {id(work) for work in watched.ready}
        linked = [work for work in ready if id(work) not in before]
        gone = {id(work) for work in ready}
        taken = [work for work in watched.ready if id(work) not in gone]
        self._check_links(watched, ready, delayed, linked)
        in_the_loop = task is watched.thread and not watched.running
        self._check_current(watched, task, in_the_loop, taken, ready)
        self._check_wake_up(watched, linked)
        self._check_trace(watched, ready, linked, in_the_loop)
        if in_the_loop:
            if taken and watched.owed:
                self._broken("I2", f"{_label(watched.owed[0])} was taken by {task.name}, and now the next one is")
            if taken and watched.ready[0] is not taken[0]:
                self._broken("I8", f"{_label(taken[0])} was taken, and {_label(watched.ready[0])} was first")
            watched.owed += taken
        watched.ready, watched.delayed, watched.current_work = ready, delayed, worker.current_work
        if self._oversleeps(watched):
            self._broken("I3", f"{watched.thread.name} sleeps, and {_label(ready[0])} is on its list")

    def _check_links(self, watched: Watched, ready: list[Any], delayed: list[Any], linked: list[Any]) -> None:
        met: set[int] = set()
        others = [
            work
            for other in self._watched.values()
            if other is not watched and not freed(other.worker)
            for work in other.ready + other.delayed
        ]
        for work in ready + delayed + others:
            if id(work) in met:
                self._broken("I1", f"{_label(work)} is linked twice")
            met.add(id(work))
        was_delayed = {id(work) for work in watched.delayed}
        for work in linked + [work for work in delayed if id(work) not in was_delayed]:
            if work.canceling:
                self._broken("I5", f"{_label(work)} is linked while it is being cancelled")

    def _check_current(
        self, watched: Watched, task: ModelTask, in_the_loop: bool, taken: list[Any], ready: list[Any]
    ) -> None:
        current = watched.worker.current_work
        if not in_the_loop:
            if current is not watched.current_work:
                self._broken("I4", f"{task.name} changes current_work, which is the loop's")
        elif watched.worker.task is task:
            if taken and current is not taken[0]:
                self._broken("I4", f"{task.name} took {_label(taken[0])}, and current_work is another")
            if not taken and not ready and current is not None:
                self._broken("I4", f"{task.name} found the list empty and left current_work at {_label(current)}")

    def _check_wake_up(self, watched: Watched, linked: list[Any]) -> None:
        idle = watched.worker.current_work is None and watched.worker.task is not None
        if linked and idle and not watched.woken:
            self._broken("I10", f"{_label(linked[0])} was queued, current_work is None, and nobody was woken")
        if linked and not idle and watched.woken:
            self._broken("I10", f"{_label(linked[0])} was queued, current_work is set, and the thread was woken")

    def _check_trace(self, watched: Watched, ready: list[Any], linked: list[Any], in_the_loop: bool) -> None:
        for work in linked:
            if watched.queued.count(id(work)) != 1:
                self._broken("I9", f"the queueing of {_label(work)} was traced {watched.queued.count(id(work))} times")
        listed = {id(work) for work in ready}
        if any(address not in listed for address in watched.queued):
            self._broken("I9", "a queueing was traced, and the work is not on the list")
        if in_the_loop and watched.traces and watched.untraced != [0, 0]:
            what = "beginning" if watched.untraced[0] else "end"
            self._broken("I9", f"the {what} of a run on {watched.thread.name} was not traced exactly once")

    # ----------------------------------------------------------------------------------------------------- the rest

    def _of_thread(self, task: ModelTask) -> Watched | None:
        return next((watched for watched in self._watched.values() if watched.thread is task), None)

    def _oversleeps(self, watched: Watched) -> bool:
        if freed(watched.worker) or watched.running:
            return False  # a callback may sleep for its own reasons
        thread = watched.thread
        asleep = thread.op == SCHEDULE and thread.carrier is not None and thread._state & TASK_NORMAL
        return bool(asleep and watched.worker.task is thread and watched.ready)

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


def _works(head: Any) -> list[Any]:
    """What is linked, and each work's function made to be `Called`. A broken list is followed as far as it leads."""
    works: list[Any] = []
    entry, met = head.next, {id(head)}
    while isinstance(entry, ListHead) and id(entry) not in met and hasattr(entry._container, "func"):
        met.add(id(entry))
        works.append(entry._container)
        entry = entry.next
    for work in works:
        if work.func.__class__ is not Called:
            work.func = Called(work.func)
    return works


def _label(work: Any) -> str:
    return "a freed work" if freed(work) else str(getattr(work.func, "__name__", "a work"))


_swapped: dict[Any, Callable[..., Any]] = {}


def _watch_cancels(module: Any) -> None:
    """From now on a cancel of this worker's module tells the monitor when it returns."""
    original = getattr(module, "_cancel_work_sync", None)
    if original is None or module in _swapped:
        return
    _swapped[module] = original

    @wraps(original)
    def cancel(work: Any, dwork: Any) -> Any:
        was_pending = original(work, dwork)
        task = getattr(local, "task", None)
        if isinstance(task, ModelTask) and task.runtime.monitor is not None:
            with unobserved(task):
                task.runtime.monitor.cancelled(work)
        return was_pending

    module._cancel_work_sync = cancel


@contextmanager
def swapped_back() -> Iterator[None]:
    """Behind the block every module's functions are its own again."""
    try:
        yield
    finally:
        for module, original in _swapped.items():
            module._cancel_work_sync = original
        _swapped.clear()
