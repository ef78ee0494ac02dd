"""What the monitor of invariants knows of a worker, and how it hears of what no operation tells.

A work's function is called through `Called`; the cancels of a worker's module tell when they return, as long as
somebody explores.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from kwlab.listhead import ListHead
from kwlab.runtime.base import local
from kwlab.runtime.model_objects import ModelTask, unobserved
from kwlab.runtime.model_ops import SCHEDULE
from kwlab.runtime.states import TASK_NORMAL
from kwlab.struct import freed

__all__ = ["Watched", "label", "swapped_back", "watch_cancels", "works"]


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
        self.ready = works(worker.work_list)
        self.delayed = works(worker.delayed_work_list)
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

    def oversleeps(self) -> bool:
        """True if the thread sleeps and there is something to do."""
        if freed(self.worker) or self.running:
            return False  # a callback may sleep for its own reasons
        thread = self.thread
        asleep = thread.op == SCHEDULE and thread.carrier is not None and thread._state & TASK_NORMAL
        return bool(asleep and self.worker.task is thread and self.ready)


def works(head: Any) -> list[Any]:
    """What is linked, and each work's function made to be `Called`. A broken list is followed as far as it leads."""
    found: list[Any] = []
    entry, met = head.next, {id(head)}
    while isinstance(entry, ListHead) and id(entry) not in met and hasattr(entry._container, "func"):
        met.add(id(entry))
        found.append(entry._container)
        entry = entry.next
    for work in found:
        if work.func.__class__ is not Called:
            work.func = Called(work.func)
    return found


def label(work: Any) -> str:
    """What a work is called in a sentence."""
    return "a freed work" if freed(work) else str(getattr(work.func, "__name__", "a work"))


_swapped: dict[Any, Callable[..., Any]] = {}


def watch_cancels(module: Any) -> None:
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
