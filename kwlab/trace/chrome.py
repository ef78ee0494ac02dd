"""Export to the JSON that chrome://tracing and Perfetto's viewer read ("Trace Event Format").

A thread's runs are complete events ("X"), each with a flow arrow from the queue event that caused it; the depth of
every queue is a counter.
"""

import json
from collections.abc import Iterable, Iterator
from typing import IO, Any

from kwlab.trace.export import what_happened
from kwlab.trace.match import Queued, Run, TakenBack
from kwlab.tracepoint import Event

__all__ = ["write_chrome_json"]

KERNEL = 0  # the process in which the viewer shows kernel threads


def write_chrome_json(events: Iterable[Event], file: IO[str]) -> int:
    """Write `events` to `file`; how many entries were written. One at a time: the trace may be long."""
    written = 0
    file.write('{"displayTimeUnit": "ns", "traceEvents": [')
    for entry in _entries(events):
        file.write(("\n" if not written else ",\n") + json.dumps(entry))
        written += 1
    file.write("\n]}\n")
    return written


def _entries(events: Iterable[Event]) -> Iterator[dict[str, Any]]:
    named: set[int] = set()
    for what in what_happened(events):
        if isinstance(what, Queued):
            yield from _name(named, what.by_pid, what.by)
            arguments = {"work": what.work, "worker": what.worker, "while_it_ran": what.again}
            yield _at("i", what.time, what.by_pid, f"queue {what.function}", s="t", args=arguments)
            yield _at("s", what.time, what.by_pid, "queued", id=_flow(what), cat="queue")
        elif isinstance(what, Run):
            yield from _name(named, what.pid, what.thread)
            if what.ended is None:
                yield _at("B", what.started, what.pid, what.function, args={"work": what.work})
            else:
                duration = (what.ended - what.started) * 1e6
                yield _at("X", what.started, what.pid, what.function, dur=duration, args={"work": what.work})
            if what.queued is not None:
                yield _at("f", what.started, what.pid, "queued", id=_flow(what.queued), cat="queue", bp="e")
        elif isinstance(what, TakenBack):
            yield _at("i", what.time, what.queued.by_pid, f"{what.queued.function} was taken back", s="t")
        else:
            time, worker, depth = what
            yield _at("C", time, 0, f"queue of {worker}", args={"works": depth})


def _name(named: set[int], pid: int, name: str) -> Iterator[dict[str, Any]]:
    if pid not in named:
        named.add(pid)
        yield {"ph": "M", "pid": KERNEL, "tid": pid, "name": "thread_name", "args": {"name": name}}


def _at(kind: str, time: float, tid: int, name: str, **more: Any) -> dict[str, Any]:
    return {"ph": kind, "ts": time * 1e6, "pid": KERNEL, "tid": tid, "name": name, **more}


def _flow(queued: Queued) -> str:
    return f"{queued.work}@{queued.time:.9f}"
