"""Reading the calls of a scenario: its steps, and what the bodies of its works do."""

import difflib
import re
from typing import Any

from kwlab.scenario.checks import Checks
from kwlab.scenario.format import NO_ANSWER, Call, OneOf, WorkerSpec, WorkSpec
from kwlab.scenario.language import FIELDS, LISTS, OPERATIONS, Operation

__all__ = ["CallReader"]

_CALL = re.compile(r"(?:(?P<actor>[A-Za-z]\w*) +)?(?:(?P<times>\d+) +times +)?(?P<name>\w+) *\((?P<arguments>[^()]*)\)")


class CallReader(Checks):
    """Reads calls; the names it accepts are those of the workers and works read so far."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self.workers: dict[str, WorkerSpec] = {}
        self.works: dict[str, WorkSpec] = {}
        self.actors: set[str] = set()

    def calls(self, where: str, given: Any, speaker: str = "main", may_answer: bool = True) -> tuple[Call, ...]:
        if not isinstance(given, list):
            raise self.fail(where, f"is {given!r}", "a list of calls is needed, one a line")
        return tuple(self.call(f"{where} {n}", n, item, speaker, may_answer) for n, item in enumerate(given, 1))

    def call(self, where: str, number: int, item: Any, speaker: str, may_answer: bool) -> Call:
        text, answer = item, NO_ANSWER
        if isinstance(item, dict) and len(item) == 1:
            ((text, answer),) = item.items()
        parts = _CALL.fullmatch(text.strip()) if isinstance(text, str) else None
        if parts is None:
            raise self.fail(
                f"{where} ({text})",
                "is no step",
                "a step is `operation(arguments)`, `operation(arguments): answer`, or `actor operation(arguments)`",
            )
        where = f"{where} ({text})"
        operation = self.operation(where, parts["name"])
        by = parts["actor"] or "main"
        if by != "main":
            if speaker == "body":
                raise self.fail(where, f"a body's calls are made by its worker, not by {by!r}")
            self.actors.add(by)
        role = "body" if speaker == "body" else "main" if by == "main" else "actor"
        if role not in operation.who:
            raise self.fail(where, f"{operation.name} cannot be said here", f"allowed in: {', '.join(operation.who)}")
        times = int(parts["times"] or 1)
        if times < 1 or (times > 1 and role != "actor"):
            raise self.fail(where, f"{times} times", "only an actor repeats a call, at least once")
        arguments = self.arguments(where, operation, [a.strip() for a in parts["arguments"].split(",") if a.strip()])
        self.check_use(where, operation, arguments)
        if answer is not NO_ANSWER:
            if not may_answer or times > 1:
                raise self.fail(where, f"answers {answer!r}, but nothing is compared here", "leave the answer out")
            answer = self.answer(where, operation, answer)
        elif operation.must_answer and may_answer and times == 1:
            raise self.fail(where, "has no answer", f"say what the kernel answers: `{text}: {_example(operation)}`")
        return Call(text, number, operation, arguments, by, times, answer)

    def operation(self, where: str, name: str) -> Operation:
        if name not in OPERATIONS:
            near = difflib.get_close_matches(name, OPERATIONS, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise self.fail(where, f"unknown operation {name!r}", f"{hint}allowed: {', '.join(OPERATIONS)}")
        return OPERATIONS[name]

    def arguments(self, where: str, operation: Operation, given: list[str]) -> tuple[Any, ...]:
        kinds = operation.parameters
        least = sum(not kind.endswith("?") for kind in kinds)
        if not least <= len(given) <= len(kinds):
            raise self.fail(where, f"{len(given)} arguments", f"it is {operation.usage}")
        return tuple(self.argument(where, kind, value) for kind, value in zip(kinds, given, strict=False))

    def check_use(self, where: str, operation: Operation, arguments: tuple[Any, ...]) -> None:
        name, first = operation.name, arguments[0] if arguments else ""
        if name == "open_gate" and not self.works[first].gated:
            raise self.fail(where, f"{first} has no gate", "say `gated: true` where it is declared")
        embedded = operation.parameters[:1] == ("worker",) and self.workers[first].made_by == "kthread_init_worker"
        if name in ("kthread_run", "kthread_init_worker") and not embedded:
            raise self.fail(where, f"{first} is made with a thread", "declare it `made_by: kthread_init_worker`")
        if name in ("kthread_destroy_worker", "wake_up_process") and embedded:
            raise self.fail(
                where, f"{first} is embedded", f"{name} is for kthread_create_worker and kthread_run_worker"
            )

    def argument(self, where: str, kind: str, value: str) -> Any:
        if kind == "worker":
            return self.known(where, value, self.workers, "workers")
        if kind in ("work", "delayed work"):
            self.known(where, value, self.works, "works")
            if kind == "delayed work" and not self.works[value].delayed:
                raise self.fail(where, f"{value} is no delayed work", "say `delayed: true` where it is declared")
            return value
        if kind == "actor":
            return self.known(where, value, self.actors, "actors that have made a call")
        if kind == "list":
            return self.known(where, value, LISTS, "lists")
        if kind == "jiffies":
            if not value.isdecimal():
                raise self.fail(where, f"{value!r} is no number of jiffies", "allowed: 0, 1, 2, ...")
            return int(value)
        return value

    def answer(self, where: str, operation: Operation, given: Any) -> Any:
        if isinstance(given, dict) and given.keys() == {"one_of"}:
            return OneOf(tuple(self.answer(where, operation, one) for one in self.items(where, given["one_of"])))
        right = {
            "bool": isinstance(given, bool),
            "void": given == "void",
            "count": type(given) is int,
            "works": isinstance(given, list) and all(isinstance(one, str) for one in given),
            "fields": isinstance(given, dict) and bool(given),
            "letter": isinstance(given, str) and given in ("R", "S", "D", "X"),
            "": False,
        }[operation.answer]
        if not right:
            wanted = f"an answer like {_example(operation)}" if operation.answer else "no answer"
            raise self.fail(where, f"answers {given!r}", f"{operation.name} has {wanted}")
        if operation.answer == "fields":
            fields = self.mapping(where, given, FIELDS[operation.name])
            return {key: "NULL" if value is None else value for key, value in fields.items()}
        if operation.answer == "works":
            return list(given)
        return None if operation.answer == "void" else given


def _example(operation: Operation) -> str:
    return {
        "bool": "true or false",
        "void": "void",
        "count": "1",
        "works": "[W, kthread_flush_work_fn]",
        "letter": "D",
        "fields": "{" + ", ".join(f"{name}: 0" for name in FIELDS.get(operation.name, ())) + "}",
        "": "",
    }[operation.answer]
