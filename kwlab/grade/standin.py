"""The box's side of an explored answer: stand-ins for the referee's objects.

An explored exercise asks for code that works on workers, works, locks and tasks. The real ones, and the model that
schedules them, are in the referee's process. Here an answer only finds stand-ins: whatever it does with one (read a
field, take a lock, call `schedule`) is *said* to the referee, which does it, in some interleaving, and says what came
of it. So an answer cannot touch what it is judged by, and has nothing to forge: all it can do is say its next step.

The referee asks for the same function again with other answers: `begin` starts it anew and runs it along the steps
that are known already; what it says differently than before shows that it remembers something from call to call.
"""

import importlib
import sys
from collections.abc import Callable
from types import FrameType, FunctionType
from typing import Any

from kwlab.grade.exercise import Exercise

__all__ = ["Abandoned", "Thing", "begin", "connect", "given"]

Message = dict[str, Any]


class Abandoned(BaseException):
    """The referee has heard enough of this call."""


class _Given:
    """One of kwlab's functions or classes, by name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if named:
            raise TypeError(f"{self.name}() takes its arguments by position here, not {', '.join(named)}=")
        return _call.say(["call", _call.encode(self), *map(_call.encode, arguments)])

    def __repr__(self) -> str:
        return self.name


class Thing:
    """An object of the referee's, known by a number."""

    __slots__ = ("_call", "_kind", "_number")

    def __init__(self, call: "_Call", number: int, kind: str) -> None:
        object.__setattr__(self, "_call", call)
        object.__setattr__(self, "_number", number)
        object.__setattr__(self, "_kind", kind)

    def __getattr__(self, field: str) -> Any:
        return _call.say(["get", _call.encode(self), field])

    def __setattr__(self, field: str, value: Any) -> None:
        _call.say(["set", _call.encode(self), field, _call.encode(value)])

    def __call__(self, *arguments: Any) -> Any:
        return _call.say(["call", _call.encode(self), *map(_call.encode, arguments)])

    def __enter__(self) -> Any:
        return _call.say(["enter", _call.encode(self)])

    def __exit__(self, *error: object) -> None:
        _call.say(["exit", _call.encode(self)])

    def __repr__(self) -> str:
        return f"<{self._kind} {self._number}>"


class _Call:
    """One call of a function of the answer: the things it knows, and the steps that are known of it."""

    def __init__(self, answer: dict[str, Any], known: list[Any]) -> None:
        self.answer, self.known = answer, known
        self.things: list[Thing] = []
        self.step = 0
        self.over = self.wavers = False

    def say(self, step: list[Any]) -> Any:
        if self.over:
            raise Abandoned
        if self.step < len(self.known):
            before, outcome = self.known[self.step]
            if step != before:
                self.wavers = self.over = True
                raise Abandoned
        else:
            if self.known and self.step == len(self.known):
                _forget()
            outcome = _talk({"step": step, "place": _place()})
            if outcome is None:
                self.over = True
                raise Abandoned
        self.step += 1
        return self.decode(outcome)

    def encode(self, value: Any) -> list[Any]:
        if isinstance(value, Thing):
            if value._call is not self:
                raise RuntimeError("this answer keeps an object from one call to the next: take what the call is given")
            return ["thing", value._number]
        if isinstance(value, _Given):
            return ["given", value.name]
        name = getattr(value, "__name__", "")
        if isinstance(value, FunctionType) and self.answer.get(name) is value:
            return ["function", name]
        if value is None or isinstance(value, bool | int | str):
            return [type(value).__name__, value]
        if isinstance(value, list | tuple):
            return ["list", [self.encode(one) for one in value]]
        what = "a function that is not at the left margin" if callable(value) else f"a {type(value).__name__}"
        raise TypeError(f"{what} cannot be handed to the kernel here: hand over a struct, a number, or a function")

    def decode(self, outcome: list[Any]) -> Any:
        kind, value, *more = outcome
        if kind == "thing":
            if value == len(self.things):
                self.things.append(Thing(self, value, more[0]))
            return self.things[value]
        if kind == "function":
            return self.answer[value]
        if kind == "list":
            return [self.decode(one) for one in value]
        return value


_call = _Call({}, [])
_talk: Callable[[Message], Any]
_forget: Callable[[], object]


def connect(talk: Callable[[Message], Any], forget: Callable[[], object]) -> None:
    """How to `talk` to the referee (send a message, get an outcome or None: abandon), and `forget` what was printed."""
    global _talk, _forget
    _talk, _forget = talk, forget


def given(exercise: Exercise) -> dict[str, Any]:
    """What an answer finds defined: numbers and strings as they are, stand-ins for all else."""
    kwlab = importlib.import_module("kwlab")
    names = (*exercise.given, *exercise.helpers)
    values = {name: getattr(kwlab, name, None) for name in names}
    return {name: v if isinstance(v, int | str) else _Given(name) for name, v in values.items()}


def begin(answer: dict[str, Any], function: str, arguments: list[Any], known: list[Any]) -> Message:
    """Call a function of the answer; along `known` steps, then by asking. What it returned, in the end."""
    global _call
    call = _call = _Call(answer, known)
    try:
        value = answer[function](*map(call.decode, arguments))
    except Abandoned:
        if call.wavers:
            return {"wavers": True}
        raise
    if call.wavers or call.step < len(known):
        return {"wavers": True}
    if call.over:
        raise Abandoned
    return {"returned": call.encode(value)}


def _place() -> list[Any]:
    """Part and line of the innermost line of the answer."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith("<part "):
            return [int(code.co_filename[6:-1]), frame.f_lineno]
        frame = frame.f_back
    return [0, 0]
