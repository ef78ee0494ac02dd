"""What of the course works on this machine: everything is tried, and what is missing comes with its price."""

import os
import platform
import shutil
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from kwlab.host.btf import Btf, BtfError
from kwlab.host.livelab import RCU_EXPEDITED, membarrier
from kwlab.host.tracefs import tracefs
from kwlab.oracle.packages import needs
from kwlab.runtime.linux import allowed_cpus, set_affinity, set_fifo

__all__ = ["CHECKS", "Check", "Finding", "examine"]


class Missing(Exception):
    """Something is not there; the message says what and, where it can be had, how."""


@dataclass(frozen=True, slots=True)
class Check:
    """`attempt` tries `name` and says what it found, or raises; `price` is what does not work without it."""

    name: str
    attempt: Callable[[], str]
    price: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one check."""

    check: Check
    works: bool
    detail: str


def examine(checks: tuple[Check, ...] | None = None) -> list[Finding]:
    """Try everything in `checks`, by default `CHECKS`. Leaves nothing changed: no thread, no mount, no file."""
    findings = []
    for check in CHECKS if checks is None else checks:
        try:
            findings.append(Finding(check, True, check.attempt()))
        except (Missing, OSError, BtfError) as error:
            findings.append(Finding(check, False, getattr(error, "strerror", None) or str(error)))
    return findings


def _jupyter() -> str:
    try:
        return (
            f"Python {platform.python_version()}, JupyterLab {version('jupyterlab')}, ipykernel {version('ipykernel')}"
        )
    except PackageNotFoundError as error:
        raise Missing(f"{error.name} is not installed: make setup") from None


def _linux() -> str:
    if sys.platform != "linux":
        raise Missing(f"this is {sys.platform}")
    return os.uname().release


def _in_a_thread(action: Callable[[int], None]) -> None:
    """Call `action` with the id of a thread that ends right after: what it changes ends with it."""
    failed: list[OSError] = []

    def run() -> None:
        try:
            action(threading.get_native_id())
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def _pinning() -> str:
    cpus = allowed_cpus()
    _in_a_thread(lambda tid: set_affinity(tid, frozenset({min(cpus)})))
    return f"{len(cpus)} CPUs" if len(cpus) > 1 else "one CPU only: what runs beside a worker shares it"


def _fifo() -> str:
    _in_a_thread(lambda tid: set_fifo(tid, 1))
    return "allowed"


def _proc() -> str:
    place = Path(f"/proc/self/task/{threading.get_native_id()}/status")
    place.read_text()
    return "threads can be read"


def _btf() -> str:
    layouts = Btf.of_this_kernel().layouts(("kthread_worker",))
    return f"struct kthread_worker has {layouts['kthread_worker'].size} bytes here"


def _stacks() -> str:
    if os.geteuid():
        raise Missing("only root sees where a kernel thread sleeps")
    Path("/proc/2/stack").read_text()
    return "readable"


def _tracing() -> str:
    with tracefs() as place:
        if not (place / "events/sched/sched_kthread_work_queue_work").is_dir():
            raise Missing("this kernel has no sched_kthread_work events (5.11 and later have)")
    return "the worker's events are there"


def _live_work() -> str:
    if not os.access(RCU_EXPEDITED, os.W_OK):
        raise Missing(f"{RCU_EXPEDITED} cannot be written")
    membarrier()
    return "the kernel can be made to queue works"


def _oracle() -> str:
    if missing := needs():
        raise Missing(missing)
    return "QEMU, a C compiler and Debian's tools are there"


def _program(*names: str, package: str) -> Callable[[], str]:
    def look() -> str:
        for name in names:
            if shutil.which(name):
                return name
        raise Missing(f"no {names[0]}: apt-get install {package}")

    return look


CHECKS = (
    Check("Jupyter", _jupyter, "the notebooks cannot be opened", required=True),
    Check("Linux", _linux, "no pinning, no priorities, no /proc: the notebooks show recordings"),
    Check("CPU pinning", _pinning, "00 cannot pin its worker"),
    Check("SCHED_FIFO", _fifo, "no real-time priority for a worker: sched_set_fifo raises EPERM"),
    Check("/proc", _proc, "the threads of 00 and 11 are shown from recordings"),
    Check("BTF", _btf, "01 shows the structs of recorded kernels, not of yours"),
    Check("stacks of kernel threads", _stacks, "11 and kwlab ps find workers by name only, and not what they run"),
    Check("tracing", _tracing, "11 shows a recorded trace; no kwlab trace record, no kwlab trace live"),
    Check("membarrier", _live_work, "no kwlab trace live by membarrier; 11 shows a recording"),
    Check("oracle", _oracle, "no kwlab oracle run: the kernel's recorded answers are used"),
    Check("trace-cmd", _program("trace-cmd", package="trace-cmd"), "kwlab trace show reads text traces only"),
    Check(
        "Chromium",
        _program("chromium", "chromium-browser", package="chromium"),
        "the project's browser tests are skipped; the course does not need it",
    ),
)
"""In the order in which a learner meets them."""
