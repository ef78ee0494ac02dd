"""Names for works and workers that stay the same through a trace, and from one run of a schedule to the next."""

import sys
from types import FrameType
from typing import Any

from kwlab.listhead import ListHead
from kwlab.struct import Struct, freed

__all__ = ["Labels", "is_worker", "waits_for"]

FLUSHES = {"kthread_flush_work": "work", "kthread_flush_worker": "worker"}  # function: what it flushes


def is_worker(thing: Any) -> bool:
    """True for a `KthreadWorker`, a variant's, or a learner's own struct with its two most important fields."""
    return (
        isinstance(thing, Struct)
        and not freed(thing)
        and hasattr(thing, "lock")
        and isinstance(getattr(thing, "work_list", None), ListHead)
    )


def waits_for(completion: Any) -> str:
    """What a task does that waits for `completion`: "waits for completion gate", a name of several words in quotes."""
    name = completion.name
    return "waits for completion " + (f'"{name}"' if " " in name else name)


class Labels:
    """A work is called by the `name` of the struct it is embedded in, if that has one, else by its function; a flush
    work by what is flushed. A second one of the same name is ``name#2``."""

    def __init__(self) -> None:
        self._by_address: dict[int, str] = {}
        self._kept_alive: list[Any] = []  # so that no other object gets the same address
        self._count: dict[tuple[type, str], int] = {}

    def work(self, work: Any) -> str:
        """The label of `work`."""
        return self._by_address.get(id(work)) or self._new(work, _name_of_work(work))

    def worker(self, worker: Any, name: str = "worker") -> str:
        """The label of `worker`: its thread's name, or `name` if it has none yet."""
        known = self._by_address.get(id(worker))
        if known is None:
            task = None if freed(worker) else getattr(worker, "task", None)
            known = self._new(worker, task.name if task is not None else name)
        return known

    def at(self, address: int) -> str:
        """The label of the work or worker that is or was at `address`."""
        return self._by_address.get(address, "work")

    def _new(self, thing: Any, name: str) -> str:
        kind = (type(thing), name)
        count = self._count[kind] = self._count.get(kind, 0) + 1
        label = self._by_address[id(thing)] = name if count == 1 else f"{name}#{count}"
        self._kept_alive.append(thing)
        return label

    def flush_work(self, work: Any) -> None:
        """`work` is being queued by a flush: call it after what the flush waits for."""
        if id(work) in self._by_address:
            return
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            flushed = frame.f_locals.get(FLUSHES.get(frame.f_code.co_name, ""))
            if flushed is not None:
                label = self.worker(flushed) if frame.f_code.co_name == "kthread_flush_worker" else self.work(flushed)
                self._new(work, f"flush({label})")
                return
            frame = frame.f_back


def _name_of_work(work: Any) -> str:
    if freed(work):
        return "freed work"
    container = work._container
    if container is not None and not freed(container):
        name = getattr(container, "name", None)
        if name is None and container._container is not None and not freed(container._container):
            name = getattr(container._container, "name", None)  # a delayed work's own container
        if isinstance(name, str) and name:
            return name
    name = getattr(work.func, "__name__", None) or type(work.func).__name__
    if name == "kthread_flush_work_fn":
        return "flush"
    return "work" if name == "<lambda>" else str(name)
