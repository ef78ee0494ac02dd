"""What a thread asks of Linux: its name, its CPUs, its priority. Elsewhere it says in one line what is missing."""

import errno
import os
from pathlib import Path

__all__ = ["allowed_cpus", "parse_cpus", "set_affinity", "set_comm", "set_fifo", "set_nice"]


def allowed_cpus() -> frozenset[int]:
    """The CPUs that this process may use."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("Cpus_allowed_list:"):
                return parse_cpus(line.split(":")[1].strip())
    except OSError:
        pass
    return frozenset(range(os.cpu_count() or 1))


def parse_cpus(text: str) -> frozenset[int]:
    """The numbers of a CPU list like ``0-2,4``."""
    cpus: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        cpus.update(range(int(first), int(last or first) + 1))
    return frozenset(cpus)


def set_comm(tid: int, comm: str) -> None:
    """Make `comm` the name that /proc, ps -eL and top -H show for the thread; elsewhere than on Linux, nothing."""
    try:
        Path(f"/proc/self/task/{tid}/comm").write_text(comm)
    except OSError:
        pass  # not Linux, or the thread has ended: the name is for looking only


def set_affinity(tid: int, cpus: frozenset[int]) -> None:
    """Bind a thread to `cpus`. `OSError` EINVAL names the CPUs that exist here."""
    if not hasattr(os, "sched_setaffinity"):
        raise OSError(errno.ENOSYS, "CPU binding needs Linux (sched_setaffinity)")
    try:
        if not all(0 <= cpu < (os.cpu_count() or 1) for cpu in cpus):
            raise OSError(errno.EINVAL, "")
        os.sched_setaffinity(tid, cpus)
    except OSError as error:
        wanted, usable = _list(cpus), _list(allowed_cpus())
        raise OSError(error.errno, f"cannot bind to CPU {wanted}: this process may use CPU {usable}") from None


def _list(cpus: frozenset[int]) -> str:
    return ", ".join(str(cpu) for cpu in sorted(cpus)) or "(none)"


def set_nice(tid: int, nice: int) -> None:
    """Nice value of one thread, -20 to 19."""
    if not -20 <= nice <= 19:
        raise ValueError(f"nice {nice} is out of range: -20 (favoured) to 19")
    try:
        os.setpriority(os.PRIO_PROCESS, tid, nice)
    except PermissionError:
        raise PermissionError(
            errno.EPERM, f"nice {nice} needs CAP_SYS_NICE: run as root, or raise the limit 'nice' in limits.conf"
        ) from None


def set_fifo(tid: int, priority: int) -> None:
    """SCHED_FIFO at `priority` (1 to 99) for one thread."""
    if not hasattr(os, "sched_setscheduler"):
        raise OSError(errno.ENOSYS, "SCHED_FIFO needs Linux (sched_setscheduler)")
    try:
        os.sched_setscheduler(tid, os.SCHED_FIFO, os.sched_param(priority))
    except PermissionError:
        raise PermissionError(
            errno.EPERM,
            f"SCHED_FIFO {priority} needs CAP_SYS_NICE: run as root, or raise the limit 'rtprio' "
            f"in limits.conf to at least {priority} (ulimit -r)",
        ) from None
