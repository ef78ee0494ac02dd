"""Who is who: the task of an OS thread, found by the thread's identity."""

import weakref

from kwlab.runtime.base import Task

__all__ = ["register", "task_of_thread"]

_tasks: weakref.WeakValueDictionary[int, Task] = weakref.WeakValueDictionary()


def register(ident: int, task: Task) -> None:
    """From now on OS thread `ident` is `task`."""
    _tasks[ident] = task


def task_of_thread(ident: int) -> Task | None:
    """The task of OS thread `ident`; None if it has none (0 is nobody)."""
    return _tasks.get(ident)
