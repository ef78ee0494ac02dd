"""Freezing: for a suspend, every task that takes part stops at a safe point of its own choosing.

A kthread takes part only after `set_freezable`; `try_to_freeze` is the safe point, in TASK_RUNNING.
Mirrors kernel/freezer.c and kernel/power/process.c, Linux 6.18.
"""

import errno

from kwlab.bug import WARN_ON, issue_warnings, noted
from kwlab.sched import (
    PF_NOFREEZE,
    TASK_FROZEN,
    TASK_INTERRUPTIBLE,
    TASK_RUNNING,
    Task,
    current,
    wake_up_state,
)
from kwlab.timer import HZ, msleep

__all__ = ["freeze_processes", "freezing", "set_freezable", "thaw_processes", "try_to_freeze"]


def set_freezable() -> None:
    """From now on the current kthread takes part in freezing."""
    current().flags &= ~PF_NOFREEZE


def freezing(task: Task) -> bool:
    """True if a freeze is under way and `task` takes part in it."""
    return task.freezing()


def try_to_freeze(me: Task) -> bool:
    """If a freeze is under way, sleep until the thaw; True if it slept. Call it in TASK_RUNNING, with no lock."""
    if not me.freezing():
        return False
    WARN_ON(me.state != TASK_RUNNING, f"try_to_freeze: blocking call in state {me.state:#x}, which it overwrites")
    while True:
        me.set_current_state(TASK_FROZEN)
        if not me.freezing():
            break
        me.schedule()
    me.state = TASK_RUNNING
    if noted:
        issue_warnings()
    return True


def _participants(me: Task) -> list[Task]:
    return [task for task in me.runtime.tasks() if not task.flags & PF_NOFREEZE and task is not me]


def freeze_processes(limit: int = 20 * HZ) -> None:
    """Freeze every freezable task of this runtime and wait until all are frozen.

    `limit` in jiffies; a task that does not get there makes the freeze fail as in the kernel: everything is thawed
    and `OSError` EBUSY names it.
    """
    me = current()
    me.runtime.freeze_in_progress = True
    for task in _participants(me):
        # An idle worker sleeps in TASK_INTERRUPTIBLE and would never come to its safe point.
        wake_up_state(task, TASK_INTERRUPTIBLE)
    deadline = me.runtime.jiffies() + limit
    while running := [task.name for task in _participants(me) if not task.state & TASK_FROZEN]:
        if me.runtime.jiffies() > deadline:
            thaw_processes()
            raise OSError(errno.EBUSY, f"freezing failed after {limit} jiffies: {', '.join(running)} refused to freeze")
        msleep(1)


def thaw_processes() -> None:
    """Let every frozen task go on."""
    me = current()
    me.runtime.freeze_in_progress = False
    for task in _participants(me):
        wake_up_state(task, TASK_FROZEN)
