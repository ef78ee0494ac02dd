"""One line of ftrace's text: what kind of line it is, and the event in it.

    umount-12871   [001] d..1.   768.901397: sched_kthread_work_queue_work: work struct=... function=... worker=...

name-pid, the thread group in brackets (option record-tgid), CPU, flags (of four or five characters, or none), seconds,
event, payload. Mirrors kernel/trace/trace_output.c and include/trace/events/sched.h, Linux 6.18; trace-cmd's report
differs in blanks and says "EVENTS DROPPED".
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from kwlab.tracepoint import Event

__all__ = ["LineError", "lost_events", "parse_event"]


class LineError(ValueError):
    """A line that is no event, or whose payload is not what its event prints."""


HEADER = re.compile(
    r" *(?P<comm>\S.*?)-(?P<pid>\d{1,10}) +(?:\( *[\d-]+\) +)?\[(?P<cpu>\d{1,6})\] +(?:(?P<flags>[^\d\s:]\S{2,7}) +)?"
    r"(?P<time>\d{1,20}(?:\.\d{1,9})?): +(?P<event>[\w.]+): ?(?P<payload>.*)\s*",
    re.ASCII,
).fullmatch
LOST = re.compile(r"CPU:\d+ \[(?:LOST (?:(\d+) )?EVENTS|(?:(\d+) )?EVENTS (?:DROPPED|LOST))\]").fullmatch

_QUEUE = re.compile(r"work struct=(\S+) function=(.+?) worker=(\S+)").fullmatch
_EXECUTE = re.compile(r"work struct (\S+): function (.+)").fullmatch
_WAKE = re.compile(r"comm=(.*?) pid=(\d+) prio=(-?\d+) (?:success=\d+ )?target_cpu=(\d+)").fullmatch
_WAKE_BY_TRACE_CMD = re.compile(r"(.*):(\d+) \[(-?\d+)\](?: success=\d+)? CPU:(\d+)").fullmatch
_SWITCH = re.compile(
    r"prev_comm=(.*?) prev_pid=(\d+) prev_prio=(-?\d+) prev_state=(\S+) ==> next_comm=(.*?) next_pid=(\d+) "
    r"next_prio=(-?\d+)"
).fullmatch
_SWITCH_BY_TRACE_CMD = re.compile(r"(.*):(\d+) \[(-?\d+)\] (\S+) ==> (.*):(\d+) \[(-?\d+)\]").fullmatch


def _queue(payload: str) -> dict[str, Any] | None:
    found = _QUEUE(payload)
    return dict(zip(("work", "function", "worker"), found.groups(), strict=True)) if found else None


def _execute(payload: str) -> dict[str, Any] | None:
    found = _EXECUTE(payload)
    return dict(zip(("work", "function"), found.groups(), strict=True)) if found else None


def _wake(payload: str) -> dict[str, Any] | None:
    if found := _WAKE(payload) or _WAKE_BY_TRACE_CMD(payload):
        comm, pid, prio, cpu = found.groups()
        return {"comm": comm, "pid": int(pid), "prio": int(prio), "target_cpu": int(cpu)}
    return None


def _switch(payload: str) -> dict[str, Any] | None:
    if found := _SWITCH(payload) or _SWITCH_BY_TRACE_CMD(payload):
        prev_comm, prev_pid, prev_prio, state, next_comm, next_pid, next_prio = found.groups()
        return {
            "prev_comm": prev_comm,
            "prev_pid": int(prev_pid),
            "prev_prio": int(prev_prio),
            "prev_state": state,
            "next_comm": next_comm,
            "next_pid": int(next_pid),
            "next_prio": int(next_prio),
        }
    return None


_PAYLOADS: dict[str, Callable[[str], dict[str, Any] | None]] = {
    "sched_kthread_work_queue_work": _queue,
    "sched_kthread_work_execute_start": _execute,
    "sched_kthread_work_execute_end": _execute,
    "sched_waking": _wake,
    "sched_wakeup": _wake,
    "sched_wakeup_new": _wake,
    "sched_switch": _switch,
}


@lru_cache(1024)  # the end of a work says what its start said, and a thread's wake-ups are alike
def _fields(name: str, payload: str) -> Mapping[str, Any]:
    read = _PAYLOADS.get(name)
    fields = {"text": payload.strip()} if read is None else read(payload.strip())
    if fields is None:
        raise LineError(f"what it says is not what {name} says")
    return MappingProxyType(fields)


def parse_event(line: str) -> Event:
    """The event in `line`. Of events that are not looked into, `fields` has the ``text``. Errors: `LineError`."""
    found = HEADER(line)
    if found is None:
        raise LineError("is no line of a trace")
    comm, pid, cpu, flags, time, name, payload = found.groups()
    try:
        return Event(float(time), comm, int(pid), name, _fields(name, payload), int(cpu), flags or "")
    except LineError:
        raise
    except ValueError:  # Python reads no integer of more than 4,300 digits
        raise LineError("holds a number that is too long") from None


def lost_events(line: str) -> int | None:
    """How many events the line says were lost (0 if it does not say how many), None if it is no such line."""
    found = LOST(line.strip())
    return int((found[1] or found[2] or "0")[:18]) if found else None
