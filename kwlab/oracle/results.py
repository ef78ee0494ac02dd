"""What the module reported of a scenario, as the `Observations` that kwlab's own play gives."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kwlab.scenario.format import Call, Scenario
from kwlab.scenario.observations import Observations

__all__ = ["Played", "read_results"]

FLUSH = "kthread_flush_work_fn"
BEGIN = "kwlab_oracle: begin"
# "WARNING: CPU: 0 PID: 9 at kernel/kthread.c:975 kthread_insert_work+0xbb/0x110"; since 6.18 the place comes first.
_WARNING = re.compile(r"WARNING: (?:CPU: \d+ PID: \d+ at (\S+) |(\S+) at )(\w+)\+")
_ANSWERS: dict[str, Callable[[str], Any]] = {
    "bool": lambda text: bool(int(text)),
    "count": int,
    "void": lambda text: None,
    "": lambda text: None,
    "works": lambda text: [work for work in text.split(",") if work],
    "letter": str,
    "fields": lambda text: dict(_field(part) for part in text.split(",")),
}


def _field(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    return name, int(value) if value.lstrip("-").isdecimal() else value


@dataclass
class Played:
    """One scenario on the kernel: what was seen, and the texts that came with it.

    `warn_places` has file, line and function of each warning. `crash` is the kernel's last word if it did not survive.
    """

    observed: Observations
    trace: str = ""
    log: str = ""
    threads: dict[str, str] = field(default_factory=dict)  # the files of /proc by name of the worker
    warn_places: list[str] = field(default_factory=list)
    crash: str = ""


def read_results(scenario: Scenario, text: str, log: str) -> Played:
    """The observations in the module's lines `text`, and the warnings in the kernel's `log` since the steps began."""
    calls = {call.number: call for call in scenario.steps}
    bodies = {
        (f"{work.name}#{run}", call.number): call
        for work in scenario.works.values()
        for run, calls_of_run in work.runs.items()
        for call in calls_of_run
    }
    seen, ended = Observations(), False
    for line in text.splitlines():
        try:
            _read(line, seen, calls, bodies)
        except (IndexError, KeyError, ValueError):  # the guest died while it wrote
            seen.failures.append(f"what the kernel module said is cut off in the middle: {line!r}")
        ended |= line == "PLAYED"
    if not ended and not seen.failures:
        seen.hang = seen.hang or "the kernel did not come to the end of the scenario"
    places = [(found[1] or found[2], found[3]) for found in _WARNING.finditer(log.rpartition(BEGIN)[2])]
    seen.warns = list(dict.fromkeys(function for _, function in places))
    return Played(seen, log=log, warn_places=list(dict.fromkeys(f"{place} {function}" for place, function in places)))


def _read(line: str, seen: Observations, calls: dict[int, Call], bodies: dict[tuple[str, int], Call]) -> None:
    kind, *words = line.split("\t")
    if kind == "ANSWER":
        _answer(seen, calls[int(words[0])], words[1], words[2])
    elif kind == "INSIDE":
        call = bodies[(words[1], int(words[0]))]
        if call.compared:
            seen.inside.append(_record(words[1].partition("#")[0], call, words[2]) | {"work": words[1]})
    elif kind == "ORDER":
        seen.order.append(words[0])
    elif kind == "EVENT":
        seen.trace.append([words[0], "<flush>" if words[1] == FLUSH else words[1]])
    elif kind == "HANG":
        seen.hang = f"the main thread waits for ever, in {words[0]}"
    elif kind in ("ERROR", "UNAVAILABLE"):
        seen.failures.append(f"the kernel module could not set the scenario up: {' '.join(words)}")


def _answer(seen: Observations, call: Call, by: str, text: str) -> None:
    if not call.compared and call.operation.name != "open_gate":
        return
    record = _record(by, call, text)
    seen.answers[call.number] = record["ret"]
    seen.steps.append(record)


def _record(by: str, call: Call, text: str) -> dict[str, Any]:
    answer = _ANSWERS[call.operation.answer](text)
    return {"by": by, "op": call.operation.name, "args": list(call.arguments), "ret": answer}
