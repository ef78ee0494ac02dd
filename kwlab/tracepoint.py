"""Tracepoints: what happened, with the kernel's event names and fields. Off unless somebody records.

Switched off, a tracepoint costs one look at an empty list. `record()` collects every event of the process (or of one
runtime) into a ring buffer; addresses are replaced by small numbers in the order of their first appearance, so that
the same run gives the same text.

Events: ``sched_kthread_work_queue_work``, ``sched_kthread_work_execute_start``, ``sched_kthread_work_execute_end``,
``sched_waking``, ``sched_switch`` (include/trace/events/sched.h); for the pictures ``lock_acquire``,
``lock_contended``, ``lock_release`` (include/trace/events/lock.h) and ``list_add``, ``list_del``.
"""

import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

from kwlab.runtime.base import Runtime, probes
from kwlab.sched import current

__all__ = ["Event", "Recorder", "probes", "record", "trace"]


class Event(NamedTuple):
    """One event: `time` in seconds, who (`task`, `pid`), what (`name`), with which `fields`.

    Of a real kernel's events (`kwlab.trace`) the CPU and ftrace's column of `flags` are known, too.
    """

    time: float
    task: str
    pid: int
    name: str
    fields: Mapping[str, Any] = MappingProxyType({})
    cpu: int | None = None
    flags: str = ""

    def __str__(self) -> str:
        """The text that ftrace prints; without CPU and flags where they are not known."""
        where = "" if self.cpu is None else f"[{self.cpu:03}] {self.flags} "
        said = _payload(self.name, self.fields)
        return f"{self.task[:15]:>16}-{self.pid:<7} {where}{self.time:12.6f}: {self.name}: {said}"


def _payload(name: str, fields: Mapping[str, Any]) -> str:
    if name == "sched_kthread_work_queue_work":
        return f"work struct={fields['work']} function={fields['function']} worker={fields['worker']}"
    if name.startswith("sched_kthread_work_execute"):
        return f"work struct {fields['work']}: function {fields['function']}"
    said = [f"{key}={value:03}" if key == "target_cpu" else f"{key}={value}" for key, value in fields.items()]
    if "next_comm" in fields:
        said.insert(list(fields).index("next_comm"), "==>")
    return " ".join(said)


def trace(name: str, subject: Any, fields: dict[str, Any]) -> None:
    """Emit an event. Callers test `probes` first: ``if probes: trace(...)``."""
    for probe in probes:
        probe(name, subject, fields)


class Recorder:
    """A ring buffer of the last `size` events, of one `runtime` or of all."""

    def __init__(self, size: int, runtime: Runtime | None) -> None:
        self.buffer: deque[Event] = deque(maxlen=size)
        self.lost = 0
        self._runtime = runtime
        self._numbers: dict[tuple[str, int], str] = {}
        self._kept_alive: list[Any] = []

    def probe(self, name: str, subject: Any, fields: dict[str, Any]) -> None:
        me = current()
        if self._runtime is not None and me.runtime is not self._runtime:
            return
        if len(self.buffer) == self.buffer.maxlen:
            self.lost += 1
        plain = {key: self._plain(key, value) for key, value in fields.items()}
        if name.startswith("lock_"):
            plain = {"name": subject.name}
        elif name in ("sched_waking", "sched_switch"):
            plain = {"comm": subject.comm, "pid": subject.pid, **plain}
        self.buffer.append(Event(time.monotonic(), me.name, me.pid, name, plain))

    def _plain(self, key: str, value: Any) -> Any:
        if value is None or (isinstance(value, (int, str, bool)) and key not in ("work", "worker")):
            return value
        # An int stands for the address of a work that may have been freed: it is never looked into.
        address = value if isinstance(value, int) else id(value)
        if not isinstance(value, int):
            self._kept_alive.append(value)  # so that no other object gets the same address while we record
        return self._numbers.setdefault((key, address), f"{key}#{len([k for k in self._numbers if k[0] == key]) + 1}")

    @property
    def events(self) -> list[Event]:
        """What is in the buffer, oldest first."""
        return list(self.buffer)

    def select(self, *names: str) -> list[Event]:
        """The events called one of `names`."""
        return [event for event in self.buffer if event.name in names]

    def __str__(self) -> str:
        return "\n".join(str(event) for event in self.buffer)


@contextmanager
def record(size: int = 100_000, runtime: Runtime | None = None) -> Iterator[Recorder]:
    """Record events while the block runs."""
    if size < 1:
        raise ValueError(f"record(size={size}): a ring buffer holds at least one event")
    recorder = Recorder(size, runtime)
    probe = recorder.probe
    probes.append(probe)
    try:
        yield recorder
    finally:
        probes.remove(probe)
