"""The kthread workers of this machine's kernel, and kwlab's own, seen the same way.

The kernel keeps no list of its workers: a kthread is one if its stack has kthread_worker_fn on it. An idle one sleeps
in that very function, so `wchan` says it too. Both need root; without, workers are known by the names that the kernel's
own users give them.
"""

import fnmatch
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kwlab.host.threadfiles import Frame, ThreadFiles
from kwlab.kthread import live_kthreads
from kwlab.runtime.base import Task
from kwlab.runtime.threads import ThreadRuntime
from kwlab.worker import KthreadWorker, kthread_worker_fn

__all__ = ["LOOP", "Seen", "WorkerRow", "find_workers", "own_workers", "process_threads", "what_it_runs"]

PROC = Path("/proc")
LOOP = "kthread_worker_fn"
UNKNOWN = "?"

# What the users of kthread_worker in Linux 6.18 call their threads, where the name tells them from other kthreads.
KNOWN_NAMES = (
    "pool_workqueue_release", "rcu_exp_gp_kthread_worker", "rcu_exp_par_gp_kthread_worker*", "watchdogd", "sugov:*",
    "cppc_fie", "sched_ext_helper", "cros_ec_spi_high_pri", "ptp[0-9]*", "ice-ptp-*", "ice-dplls-*", "ice-gnss-*",
    "card[0-9]*-crtc[0-9]*", "crtc_event:*", "atomic-worker-*", "kvm-pit/*", "erofs_worker/*", "dsa*_xmit",
    "sc16is7xx*", "UVCG", "spi[0-9]*",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """One worker's thread. `runs`: the function of the work that it runs, "" if it is idle, "?" if that may not be
    seen. `found_by`: "wchan", "stack", "name" (without root) or "kwlab"."""

    pid: int
    name: str
    state: str
    cpus: tuple[int, ...]
    bound: bool  # by kthread_bind(): nobody can move it
    policy: str
    nice: int
    rt_priority: int
    sleeps: int
    preempted: int
    runs: str
    found_by: str

    @property
    def priority(self) -> str:
        """The policy with its priority, as short as can be: "nice 0", "FIFO 50"."""
        policy = self.policy.removeprefix("SCHED_")
        return f"{policy} {self.rt_priority}" if self.rt_priority else f"nice {self.nice}"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Seen:
    """The workers that were found, by pid, and in `notes` what could not be seen, and what that would need."""

    workers: tuple[WorkerRow, ...]
    notes: tuple[str, ...] = ()


def find_workers(proc: Path = PROC) -> Seen:
    """Every kthread worker of this kernel that can be told from other kthreads."""
    if not (proc / "self").exists():
        return Seen((), (f"no {proc} on this machine: workers of the kernel can be listed on Linux only",))
    rows, by_name = [], False
    for folder in sorted((path for path in proc.iterdir() if path.name.isdigit()), key=lambda path: int(path.name)):
        thread = ThreadFiles(folder)
        with suppress(ProcessLookupError, FileNotFoundError):
            if not thread.stat.is_kthread:
                continue
            found_by, runs = _how(thread)
            by_name |= found_by == "name"
            if found_by:
                rows.append(_row(int(folder.name), thread, runs, found_by))
    notes = []
    if by_name or os.geteuid():
        notes.append(
            "without root, /proc does not show where a kthread sleeps: only workers with a well-known name are listed, "
            "and not what they run"
        )
    return Seen(tuple(rows), tuple(notes))


def _how(thread: ThreadFiles) -> tuple[str, str]:
    """What shows that a kthread is a worker ("" if nothing does), and what it runs."""
    try:
        if thread.wchan == LOOP:
            return "wchan", ""
        stack = thread.stack
    except (PermissionError, FileNotFoundError):
        known = any(fnmatch.fnmatchcase(thread.comm, pattern) for pattern in KNOWN_NAMES)
        return ("name", UNKNOWN) if known else ("", "")
    return ("stack", what_it_runs(stack)) if any(frame.function == LOOP for frame in stack) else ("", "")


def what_it_runs(stack: Iterable[Frame]) -> str:
    """The function that kthread_worker_fn has called, "" if none: the loop itself sleeps."""
    above = ""
    for frame in stack:
        if frame.function == LOOP:
            return above
        above = str(frame)
    return ""


def process_threads(pid: int, proc: Path = PROC) -> Seen:
    """The threads of process `pid`, without its main thread: a program that uses kwlab has its workers among them."""
    folder = proc / str(pid) / "task"
    if not folder.is_dir():
        raise ProcessLookupError(f"there is no process {pid}")
    rows = []
    for path in sorted(folder.iterdir(), key=lambda path: int(path.name)):
        if int(path.name) != pid:
            with suppress(ProcessLookupError):
                rows.append(_row(int(path.name), ThreadFiles(path), UNKNOWN, "process"))
    return Seen(tuple(rows), ("what a thread of another process runs can be seen in that process alone",))


def own_workers() -> Seen:
    """The workers of kwlab that live in this process, with what they run."""
    rows = []
    for task in sorted(live_kthreads(), key=lambda task: task.pid):
        worker = _worker_of(task)
        if worker is not None and isinstance(task.runtime, ThreadRuntime):
            work = worker.current_work
            runs = "" if work is None else str(getattr(work.func, "__name__", work.func))
            with suppress(ProcessLookupError):
                rows.append(_row(task.pid, ThreadFiles(PROC / "self/task" / str(task.pid)), runs, "kwlab"))
    notes = () if (PROC / "self/task").is_dir() else ("no /proc on this machine: threads can be listed on Linux only",)
    return Seen(tuple(rows), notes)


def _worker_of(task: Task) -> KthreadWorker | None:
    data = task.kthread.data
    return data if task.kthread.threadfn is kthread_worker_fn and isinstance(data, KthreadWorker) else None


def _row(pid: int, thread: ThreadFiles, runs: str, found_by: str) -> WorkerRow:
    status, stat = thread.status, thread.stat
    return WorkerRow(
        pid,
        thread.comm,
        status.state,
        status.cpus,
        stat.is_bound,
        stat.policy,
        stat.nice,
        stat.rt_priority,
        status.sleeps,
        status.preempted,
        runs,
        found_by,
    )
