"""Inside the box: load an answer, and let the exercise's probes ask it things.

The only process that runs a learner's code. It decides nothing: what it says is data, which the referee judges.
Messages are JSON, each behind its length in four bytes.
"""

import builtins
import importlib
import io
import json
import os
import socket
import struct
import sys
from collections.abc import Callable, Mapping
from types import CodeType, ModuleType, SimpleNamespace, TracebackType
from typing import Any

from kwlab.grade import standin
from kwlab.grade.allowed import BUILTINS, filename
from kwlab.grade.exercise import Exercise
from kwlab.grade.limits import CHANNEL, confine, keep_only

__all__ = ["MAX_PRINTED", "Endless", "run_and_exit", "serve"]

MAX_PRINTED = 2000
MAX_TEXT = 500


class Endless(BaseException):
    """Raised by a probe that counts an answer's steps, when there are far more than there can be."""


def serve(exercise: Exercise, code: Mapping[int, CodeType], probes: ModuleType, channel: int, stacks: int) -> None:
    """Shut this process in, run the answer's cells, then answer requests until the referee hangs up."""
    keep_only(channel, stacks)
    connection = socket.socket(fileno=CHANNEL)
    try:
        given = _given(exercise)  # while files can still be opened
        confine(exercise.limits)
    except Exception as error:
        _send(connection, {"trouble": f"{type(error).__name__}: {error}"})
        return
    _send(connection, {"trouble": None})
    printed = sys.stdout = sys.stderr = _Printed()
    answer: dict[str, Any] = {"__name__": "answer", "__builtins__": _builtins(exercise, given), **given}
    broken = {}
    for part, cell in code.items():
        reply = _outcome(lambda cell=cell: exec(cell, answer))  # type: ignore[misc]
        if "value" not in reply:
            broken[str(part)] = reply
    _send(connection, {"broken": broken, "printed": printed.take()})
    waiting: list[dict[str, Any] | None] = []  # a request that came while a function of the answer was under way

    def talk(value: dict[str, Any]) -> Any:
        _send(connection, {"value": value, "printed": printed.take()})
        waiting.append(_receive(connection))
        if waiting[0] is None or waiting[0]["probe"] != "go_on":
            return None
        return waiting.pop()["arguments"][0]  # type: ignore[index]

    if probes is standin:
        standin.connect(talk, printed.take)
    while (request := waiting.pop() if waiting else _receive(connection)) is not None:
        probe: Callable[..., Any] = getattr(probes, request["probe"])
        reply = _outcome(lambda: probe(answer, *request["arguments"]))  # noqa: B023  called at once
        if not waiting:
            _send(connection, reply | {"printed": printed.take()})


def _outcome(act: Callable[[], Any]) -> dict[str, Any]:
    try:
        value = act()
        json.dumps(value)
    except BaseException as error:  # SystemExit too: leaving is no answer
        kind = "todo" if isinstance(error, NotImplementedError) else "raised"
        kind = "endless" if isinstance(error, Endless) else kind
        part, line = _place(error.__traceback__)
        return {"kind": kind, "type": type(error).__name__, "message": _text(error), "part": part, "line": line}
    return {"value": value}


def _text(error: BaseException) -> str:
    try:
        return str(error)[:MAX_TEXT]
    except BaseException:
        return "(its message cannot be shown)"


def _place(traceback: TracebackType | None) -> tuple[int, int]:
    """Part and line of the innermost line of the answer that was running; zeros if none was."""
    place = (0, 0)
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if name.startswith("<part ") and name == filename(int(name[6:-1])):
            place = (int(name[6:-1]), traceback.tb_lineno)
        traceback = traceback.tb_next
    return place


class _Printed(io.StringIO):
    """What the answer prints: kept, up to a limit, for its author to see."""

    def write(self, text: str) -> int:
        room = MAX_PRINTED - self.tell()
        super().write(text[: max(room, 0)])
        return len(text)

    def take(self) -> str:
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text


def _given(exercise: Exercise) -> dict[str, Any]:
    """What an answer finds defined: as in the notebook, where a cell of the exercise imports all of it."""
    if exercise.explored:
        return standin.given(exercise)
    names = {"kwlab": exercise.given, **exercise.imports}
    modules = {module: importlib.import_module(module) for module in names}
    return {name: getattr(modules[module], name) for module in names for name in names[module] if name != "*"}


def _builtins(exercise: Exercise, given: dict[str, Any]) -> dict[str, Any]:
    def import_allowed(name: str, *rest: Any) -> Any:
        if name == "kwlab" and exercise.explored:
            return SimpleNamespace(**given)
        if name != "kwlab" and name not in exercise.imports:
            raise ImportError(f"an answer may not import {name}")
        return builtins.__import__(name, *rest)

    allowed = {name: getattr(builtins, name) for name in BUILTINS}
    return allowed | {"__build_class__": builtins.__build_class__, "__import__": import_allowed}


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    text = json.dumps(message).encode()
    connection.sendall(struct.pack("!I", len(text)) + text)


def _receive(connection: socket.socket) -> dict[str, Any] | None:
    head = connection.recv(4, socket.MSG_WAITALL)
    if len(head) < 4:
        return None
    message: dict[str, Any] = json.loads(connection.recv(struct.unpack("!I", head)[0], socket.MSG_WAITALL))
    return message


def run_and_exit(*arguments: Any) -> None:
    """`serve`, then end this process on the spot: nothing of the referee's own may run on in its copy."""
    try:
        serve(*arguments)
    finally:
        os._exit(0)
