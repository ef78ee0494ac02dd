"""What /proc says about one thread: the operating system's word on a worker, next to ours.

Only what everybody may read, root or not. Mirrors Documentation/filesystems/proc.rst, Linux 6.18.
"""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kwlab.host.threadfiles import ThreadFiles
from kwlab.runtime.base import Task
from kwlab.runtime.threads import ThreadRuntime

__all__ = ["ProcThread", "proc_thread"]

TASKS = Path("/proc/self/task")
SETTLE = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class ProcThread:
    """One thread as Linux sees it."""

    name: str  # comm: at most 15 characters for a thread of ours
    tid: int
    state: str  # the letter that ps shows, and the word: "S (sleeping)"
    cpus: tuple[int, ...]  # the CPUs it may run on
    policy: str
    nice: int
    rt_priority: int  # 1 to 99 for SCHED_FIFO and SCHED_RR, else 0
    sleeps: int  # voluntary context switches: how often it gave the CPU away
    recorded: bool = False  # True where there is no /proc: what Linux 6.18 said about an idle worker bound to CPU 0

    def __str__(self) -> str:
        """What is the same on every machine: no TID, no count, no CPU number."""
        rt = f", priority {self.rt_priority}" if self.rt_priority else ""
        recorded = "no /proc on this machine; recorded on Linux 6.18:\n" if self.recorded else ""
        return (
            f"{recorded}name      {self.name}\nstate     {self.state}\n"
            f"CPU mask  {len(self.cpus)} CPU{'s' if len(self.cpus) > 1 else ''}\n"
            f"policy    {self.policy}, nice {self.nice}{rt}"
        )


def proc_thread(task: Task) -> ProcThread:
    """What /proc/self/task/TID says about the thread of `task`.

    A thread that is on its way to sleep is waited for: first until its task has gone to sleep in our sense, then until
    Linux says so too, for a second at most. Errors: `ProcessLookupError` if the thread has ended.
    """
    if not TASKS.is_dir():
        return ProcThread(task.comm, task.pid, "S (sleeping)", (0,), "SCHED_OTHER", 0, 0, 0, recorded=True)
    if isinstance(task.runtime, ThreadRuntime):
        with suppress(TimeoutError):
            task.runtime.settle(SETTLE)
    deadline = time.monotonic() + SETTLE
    while True:
        seen = _read(task)
        if not (task.state and seen.state.startswith("R")) or time.monotonic() > deadline:
            return seen
        time.sleep(0.0005)


def _read(task: Task) -> ProcThread:
    thread = ThreadFiles(TASKS / str(task.pid))
    try:
        comm, status, stat = thread.comm, thread.status, thread.stat
    except OSError:
        raise ProcessLookupError(f"thread {task.name!r} has ended: /proc knows it no more") from None
    return ProcThread(
        name=comm,
        tid=task.pid,
        state=status.state,
        cpus=status.cpus,
        policy=stat.policy,
        nice=stat.nice,
        rt_priority=stat.rt_priority,
        sleeps=status.sleeps,
    )
