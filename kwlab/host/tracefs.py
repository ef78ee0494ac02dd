"""Tracing the running kernel in an instance of our own, which is gone afterwards, whatever happened.

An instance is a folder in tracefs with buffers, events and switches of its own: nobody else's tracing is touched.
Needs root. Mirrors Documentation/trace/ftrace.rst, Linux 6.18.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

__all__ = ["EVENTS", "KTHREAD_WORK_EVENTS", "TraceInstance", "TracefsError", "trace_instance", "tracefs"]

KTHREAD_WORK_EVENTS = (
    "sched_kthread_work_queue_work",
    "sched_kthread_work_execute_start",
    "sched_kthread_work_execute_end",
)
EVENTS = (*KTHREAD_WORK_EVENTS, "sched_waking", "sched_wakeup", "sched_switch")
PREFIX = "kwlab-"
MOUNTS = Path("/proc/mounts")


class TracefsError(OSError):
    """This kernel cannot be traced from here: says why, and what it would need."""


@contextmanager
def tracefs() -> Iterator[Path]:
    """Where tracefs is mounted; where it is not, it is mounted in a folder of our own as long as the block runs.

    Errors: `TracefsError`, without root or without CONFIG_TRACING.
    """
    if os.geteuid():
        raise TracefsError("tracing the kernel needs root: start it with sudo, or look at a recording")
    for line in MOUNTS.read_text().splitlines() if MOUNTS.exists() else ():
        _, place, kind, *_ = line.split()
        if kind == "tracefs" and (Path(place) / "instances").is_dir():
            yield Path(place)
            return
    folder = tempfile.mkdtemp(prefix="kwlab-tracefs-")
    try:
        done = subprocess.run(["mount", "-t", "tracefs", "none", folder], capture_output=True, text=True, timeout=30)
        if done.returncode:
            raise TracefsError(f"this kernel cannot be traced: tracefs cannot be mounted ({done.stderr.strip()})")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], capture_output=True, timeout=30)
    finally:
        os.rmdir(folder)


class TraceInstance:
    """An instance that records into its buffers. `folder` is its place in tracefs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> None:
        """Write one of its control files. `TracefsError` says what the kernel made of it."""
        try:
            (self.folder / name).write_text(text)
        except OSError as error:
            raise TracefsError(f"{name} does not take {text!r}: {error.strerror}") from None

    def enable(self, event: str, filter: str = "") -> None:
        """Record `event` of the group sched, of those only that `filter` lets through (``prev_comm == "x"``)."""
        folder = f"events/sched/{event}"
        if not (self.folder / folder).is_dir():
            raise TracefsError(f"this kernel has no event {event}: the kthread_work events came with Linux 5.11")
        if filter:
            self.write(f"{folder}/filter", filter)
        self.write(f"{folder}/enable", "1")

    def stop(self) -> None:
        """Record no more; what is in the buffers stays."""
        self.write("tracing_on", "0")

    def text(self) -> str:
        """What was recorded, as ftrace prints it."""
        return (self.folder / "trace").read_text(encoding="utf-8", errors="replace")

    def lost(self) -> int:
        """How many events did not fit into the buffers."""
        return sum(
            int(value)
            for stats in self.folder.glob("per_cpu/cpu*/stats")
            for key, _, value in (line.partition(":") for line in stats.read_text().splitlines())
            if key in ("overrun", "dropped events")
        )


@contextmanager
def trace_instance(
    events: Mapping[str, str] | None = None, buffer_kb: int = 4096, options: Mapping[str, bool] | None = None
) -> Iterator[TraceInstance]:
    """An instance in which `events` (name: filter; the worker's three if None) are on while the block runs.

    `buffer_kb` is for each CPU. When the block is left, tracing is off and the instance is gone, and so are those that
    a killed kwlab left behind. Errors: `TracefsError`.
    """
    with ExitStack() as stack:
        root = stack.enter_context(tracefs())
        _remove_forgotten(root / "instances")
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=root / "instances"))
        stack.callback(_remove, folder)
        instance = TraceInstance(folder)
        instance.write("buffer_size_kb", str(buffer_kb))
        for option, on in (options or {}).items():
            instance.write(f"options/{option}", str(int(on)))
        for event, filter in (dict.fromkeys(KTHREAD_WORK_EVENTS, "") if events is None else events).items():
            instance.enable(event, filter)
        yield instance


def _remove(folder: Path) -> None:
    """Remove an instance with all that it has switched on."""
    with suppress(OSError):
        (folder / "tracing_on").write_text("0")
    with suppress(OSError):
        (folder / "events/enable").write_text("0")
    with suppress(FileNotFoundError):  # somebody else has removed it
        os.rmdir(folder)


def _remove_forgotten(instances: Path) -> None:
    for folder in instances.glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            with suppress(OSError):
                _remove(folder)
