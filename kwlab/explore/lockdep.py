"""Lock order, as lockdep watches it: by classes, over all executions, whether or not anybody ever waited.

A class is all locks that one line made: all workers of `kthread_create_worker` share one, and each line that calls
`kthread_init_worker` has its own (as in the kernel, where that is a macro). Whoever takes B while holding A says that A
comes before B. If somewhere else B comes before A, even by way of others, two tasks that do both at the same time may
wait for each other for ever. Two locks of one class, one inside the other, are no better: nothing says which of them
comes first.

Not watched: locks taken in interrupts. ``with lock:`` switches them off (it is irqsave), so no interrupt on the same
CPU can want the lock.
"""

import sys
from types import FrameType
from typing import Any

from kwlab.explore.places import file_name, innermost
from kwlab.runtime.model import ModelRuntime
from kwlab.runtime.model_objects import ModelSpinLock, ModelTask

__all__ = ["LockOrder"]

_INITIALISERS = ("kthread_init_worker",)  # the lock belongs to the line that calls them


class LockOrder:
    """What a search has learnt about the order of lock classes. `inversion`: the first that was met, as a sentence."""

    def __init__(self) -> None:
        self.inversion = ""
        self._before: dict[Any, dict[Any, str]] = {}  # class: the classes that came after it, and who did so where

    def attach(self, runtime: ModelRuntime) -> None:
        """Watch one more execution."""
        runtime.lock_order = self

    def classify(self, frame: FrameType | None) -> Any:
        """The class of a lock that is being made, from the caller's frame."""
        while frame is not None and (
            frame.f_code.co_filename.endswith("sched.py") or frame.f_code.co_name in _INITIALISERS
        ):
            frame = frame.f_back
        return (frame.f_code.co_filename, frame.f_lineno) if frame is not None else None

    def taken(self, task: ModelTask, lock: ModelSpinLock) -> None:
        """`task` has taken `lock` and holds others."""
        for held in task.held:
            if held is lock or lock.kind in self._before.get(held.kind, ()):
                continue
            found = innermost(sys._getframe(2))
            place = f" in {found[0].co_name}(), {file_name(found[0].co_filename)}:{found[1]}" if found else ""
            deed = f"{task.name} takes {lock.name} while it holds {held.name}{place}"
            way = self._way(lock.kind, held.kind)
            if way is not None and not self.inversion:
                other = "; ".join(way) or "they are locks of one class, and nothing says which of them comes first"
                self.inversion = f"{deed}; the other way round, {other}" if way else f"{deed}; {other}"
            self._before.setdefault(held.kind, {})[lock.kind] = deed

    def _way(self, first: Any, last: Any) -> list[str] | None:
        """Who took what while holding what, from class `first` to class `last`; None if nobody did."""
        if first == last:
            return []
        came: dict[Any, tuple[Any, str]] = {}
        waiting = [first]
        while waiting:
            here = waiting.pop()
            for there, deed in self._before.get(here, {}).items():
                if there in came:
                    continue
                came[there] = here, deed
                if there == last:
                    way = []
                    while there != first:
                        there, deed = came[there]
                        way.append(deed)
                    return way[::-1]
                waiting.append(there)
        return None
