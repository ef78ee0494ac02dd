"""What was seen while a scenario played, in the vocabulary of the kernel's recordings, and how it differs."""

from dataclasses import dataclass, field
from typing import Any

from kwlab.scenario.format import Call, OneOf, Scenario

__all__ = ["Observations", "compare", "inside_of"]


@dataclass
class Observations:
    """One play of a scenario.

    `steps`: the calls and looks that are compared, `{by, op, args, ret}`, in the order in which they came back; what
    an actor's call returned stands behind the check that saw it. `order`: works in the order their functions began.
    `inside`: the calls made by works, `{by, work: "W#run", op, args, ret}`. `warns`: the functions that warned, each
    place once (and the whole line of anything worse). `trace`, if the scenario has one: `[queue|start|end, work]`; a
    flush is `<flush>`. `hang`: who waits where, if the scenario could not go on. `failures`: calls that raised an
    exception although nobody compares what they answer. `answers`: what came back, by number of the step.
    """

    steps: list[dict[str, Any]] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    inside: list[dict[str, Any]] = field(default_factory=list)
    warns: list[str] = field(default_factory=list)
    trace: list[list[str]] = field(default_factory=list)
    hang: str = ""
    failures: list[str] = field(default_factory=list)
    answers: dict[int, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The part that recordings have, too."""
        return {key: getattr(self, key) for key in ("steps", "order", "inside", "warns", "trace")}


def compare(scenario: Scenario, observed: Observations) -> list[str]:
    """What differs from the answers that `scenario` expects, a line each; empty if all agree."""
    found = [f"hang: {observed.hang}"] if observed.hang else []
    found += observed.failures
    found += _steps(scenario.steps, observed)
    found += _inside(scenario, observed)
    found += _sequence("order", list(scenario.order), observed.order)
    found += _sequence("warns", list(scenario.warns), observed.warns)
    if scenario.trace is not None:
        found += _sequence("trace", [" ".join(e) for e in scenario.trace], [" ".join(e) for e in observed.trace])
    return found


def inside_of(scenario: Scenario) -> dict[str, list[Call]]:
    """The calls from inside works that are compared, by run of a work ("W#1")."""
    runs = {f"{work.name}#{run}": calls for work in scenario.works.values() for run, calls in work.runs.items()}
    compared = {name: [call for call in calls if call.compared] for name, calls in runs.items()}
    return {name: calls for name, calls in compared.items() if calls}


def _steps(steps: tuple[Call, ...], observed: Observations) -> list[str]:
    found = []
    for call in steps:
        if not call.compared:
            continue
        where = f"step {call.number}, {call.text}"
        if call.number in observed.answers:
            found += _answer(where, call.answer, observed.answers[call.number])
        elif not observed.hang:
            found.append(f"{where}: expected {_shown(call.answer)}, but it never came back")
    return found


def _inside(scenario: Scenario, observed: Observations) -> list[str]:
    expected = inside_of(scenario)
    seen: dict[str, list[Any]] = {}
    for record in observed.inside:
        seen.setdefault(record["work"], []).append(record["ret"])
    found = []
    for name, calls in expected.items():
        answers = seen.get(name, [])
        for call, answer in zip(calls, answers, strict=False):
            found += _answer(f"inside {name}, {call.text}", call.answer, answer)
        found += [f"inside {name}, {call.text}: it never came back" for call in calls[len(answers) :]]
    return found


def _answer(where: str, expected: Any, seen: Any) -> list[str]:
    if isinstance(expected, OneOf):
        right = any(not _answer(where, one, seen) for one in expected.answers)
    elif isinstance(expected, dict) and isinstance(seen, dict):
        wrong = {key: value for key, value in expected.items() if seen[key] != value}
        return [f"{where}: {key} expected {value}, seen {seen[key]}" for key, value in wrong.items()]
    else:
        right = type(expected) is type(seen) and expected == seen
    return [] if right else [f"{where}: expected {_shown(expected)}, seen {_shown(seen)}"]


def _sequence(what: str, expected: list[str], seen: list[str]) -> list[str]:
    if expected == seen:
        return []
    same = next((n for n, (a, b) in enumerate(zip(expected, seen, strict=False)) if a != b), None)
    same = min(len(expected), len(seen)) if same is None else same
    lead = f"after {same} that agree, " if same else ""
    return [f"{what}: {lead}expected {_shown(expected[same:])}, seen {_shown(seen[same:])}"]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "nothing"
    if value is None:
        return "void"
    return str(value).lower() if isinstance(value, bool) else str(value)
