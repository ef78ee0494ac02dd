"""Making the real kernel queue real works, without a module: expedited RCU grace periods.

In Linux 6.18 ``synchronize_rcu_expedited()`` (kernel/rcu/tree_exp.h) queues one `kthread_work`, `wait_rcu_exp_gp`, on
the worker `rcu_exp_gp_kthread_worker`. Two ways to have it called: ``membarrier(MEMBARRIER_CMD_GLOBAL)`` while
/sys/kernel/rcu_expedited is on (kernel/sched/membarrier.c), and unmounting a file system (fs/namespace.c).
"""

import ctypes
import fcntl
import os
import platform
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kwlab.host.kworkers import find_workers
from kwlab.host.tracefs import EVENTS, KTHREAD_WORK_EVENTS, TracefsError, trace_instance

__all__ = ["RCU_WORKER", "capture_live", "expedited_rcu", "membarrier", "tmpfs_round"]

RCU_WORKER = "rcu_exp_gp_kthread_worker"
RCU_EXPEDITED = Path("/sys/kernel/rcu_expedited")
SYS_MEMBARRIER = {"x86_64": 324, "aarch64": 283, "riscv64": 283}
MEMBARRIER_CMD_GLOBAL = 1


@contextmanager
def expedited_rcu() -> Iterator[None]:
    """RCU's grace periods are expedited while the block runs; afterwards the switch is as it was.

    The switch is locked meanwhile: another process that also wants it must not take our "1" for what it was.
    """
    with ExitStack() as stack:
        try:
            switch = stack.enter_context(RCU_EXPEDITED.open())
            fcntl.flock(switch, fcntl.LOCK_EX)
            before = switch.read().strip()
            RCU_EXPEDITED.write_text("1")
        except OSError as error:
            raise TracefsError(f"{RCU_EXPEDITED} cannot be set: {error.strerror}") from None
        try:
            yield
        finally:
            RCU_EXPEDITED.write_text(before)


def membarrier() -> None:
    """``membarrier(MEMBARRIER_CMD_GLOBAL)``: comes back after a grace period. Errors: `OSError`."""
    number = SYS_MEMBARRIER.get(platform.machine())
    if number is None:
        raise OSError(f"the number of the system call membarrier on {platform.machine()} is not known here")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, MEMBARRIER_CMD_GLOBAL, 0, 0):
        raise OSError(ctypes.get_errno(), f"membarrier: {os.strerror(ctypes.get_errno())}")


def tmpfs_round() -> None:
    """Mount an empty tmpfs in a folder of our own, and unmount it: that, too, waits for a grace period."""
    folder = tempfile.mkdtemp(prefix="kwlab-tmpfs-")
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", folder], check=True, timeout=30)
        subprocess.run(["umount", folder], check=True, timeout=30)
    finally:
        os.rmdir(folder)


def capture_live(works: int = 20, scheduler: bool = True) -> str:
    """The ftrace text of `works` real works, queued one after the other; with `scheduler` the wake-ups and switches
    of the worker's thread, too. Everything is restored. Errors: `TracefsError` says what is missing."""
    if works < 1:
        raise ValueError(f"capture_live(works={works}): at least one work is needed")
    worker = next((row for row in find_workers().workers if row.name == RCU_WORKER), None)
    if worker is None:
        raise TracefsError(f"this kernel has no thread called {RCU_WORKER}: its RCU uses a workqueue instead")
    events = dict.fromkeys(KTHREAD_WORK_EVENTS, "")
    if scheduler:
        about = {"sched_switch": f"prev_pid=={worker.pid}||next_pid=={worker.pid}"}
        events |= {event: about.get(event, f"pid=={worker.pid}") for event in EVENTS if event not in events}
    with expedited_rcu(), trace_instance(events) as instance:
        way = _first_work(instance.text)
        for _ in range(works - 1):
            way()
        instance.stop()
        return instance.text()


def _first_work(text: Callable[[], str]) -> Callable[[], None]:
    """Have one work queued, by the first way that does it; that way."""
    for way in (membarrier, tmpfs_round):
        try:
            way()
        except (OSError, subprocess.SubprocessError):
            continue
        if "sched_kthread_work_queue_work" in text():
            return way
    raise TracefsError("neither membarrier() nor unmounting a tmpfs made this kernel queue a kthread_work")
