"""Suspended frames, read whole: variables, cells, and the stack that Python itself never shows.

``for _ in (0, 0, 0): op()`` is suspended three times with the same place and the same variables; only the iterator on
the frame's stack differs. Two such states taken for one would hide bugs. So the values are read where CPython keeps
them, behind each other in ``_PyInterpreterFrame.localsplus`` (Include/internal/pycore_frame.h, CPython 3.11).

That layout is not promised to anybody. It is tried out on a frame whose content is known before it is used, and on
any other Python `READABLE` is false: then states are not told apart by their frames, and nothing is merged.
"""

import ctypes
import sys
from functools import partial
from types import CodeType, FrameType, FunctionType, GeneratorType, MethodType
from typing import Any

from kwlab.explore.bytecode import UNREADABLE, facts_of
from kwlab.runtime.carriers import Batons, Greenlets
from kwlab.runtime.model import ModelRuntime

__all__ = ["NULL", "READABLE", "Opaque", "Suspended", "chain", "result_is_dropped", "values_of"]


class Opaque(Exception):
    """A state that cannot be told apart from others for sure; says why."""


class _Null:
    """What stands for an empty place of a frame."""

    def __repr__(self) -> str:
        return "NULL"


NULL = _Null()

_POINTER = ctypes.sizeof(ctypes.c_void_p)
_INTERPRETER_FRAME = 3 * _POINTER  # PyFrameObject.f_frame
_STACKTOP = 8 * _POINTER  # then int stacktop, bool is_entry, char owner
_IS_ENTRY = _STACKTOP + 4
_LOCALSPLUS = 9 * _POINTER

_object_at = ctypes.py_object.from_address
_word_at = ctypes.c_void_p.from_address
_byte_at = ctypes.c_byte.from_address


def _address(frame: FrameType) -> int:
    address: int = _word_at(id(frame) + _INTERPRETER_FRAME).value or 0
    return address


def values_of(frame: FrameType, count: int) -> list[Any]:
    """The first `count` places of `frame`: variables, cells, stack. `NULL` for an empty one."""
    address = _address(frame) + _LOCALSPLUS
    values: list[Any] = []
    for place in range(address, address + count * _POINTER, _POINTER):
        try:
            values.append(_object_at(place).value)
        except ValueError:
            values.append(NULL)
    return values


class Suspended:
    """One suspended frame: its code's facts, its place, and all its values."""

    __slots__ = ("facts", "frame", "globals", "place", "values")

    def __init__(self, frame: FrameType, called: FrameType | None) -> None:
        """`called`: the frame of the Python function that `frame` waits for, if it is in a call."""
        self.frame = frame
        self.facts = facts = facts_of(frame.f_code)
        self.globals = frame.f_globals
        self.place, opname, below, taken = facts.at(frame.f_lasti)
        if below == UNREADABLE:
            raise Opaque(f"{frame.f_code.co_qualname}() is in the middle of {opname}")
        if called is not None and _byte_at(_address(called) + _IS_ENTRY).value:
            if opname == "CALL_FUNCTION_EX":
                taken = 2  # the arguments behind the function may be a list that was made a tuple, and freed
            operands = values_of(frame, facts.slots + below + taken)[facts.slots + below - _LEFT.get(opname, 0) :]
            if not _calls_directly(opname, operands, called):
                raise Opaque(
                    f"{frame.f_code.co_qualname}() waits for {called.f_code.co_qualname}() inside C code, "
                    "whose state cannot be read"
                )
        self.values = values_of(frame, facts.slots + below)


# How deep an instruction looks into the part of the stack that it leaves: at an iterator, at a ``with`` block's exit.
_LEFT = {"FOR_ITER": 1, "SEND": 1, "WITH_EXCEPT_START": 4}


def _calls_directly(opname: str, operands: list[Any], called: FrameType) -> bool:
    """True if nothing but the interpreter and C code without a memory lies between a call and the function called."""
    code = called.f_code
    if opname in ("LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR", "DELETE_ATTR"):
        return True  # a descriptor or a __getattr__
    if opname in ("CALL", "CALL_FUNCTION_EX"):
        if opname == "CALL_FUNCTION_EX":
            operands = operands[1:]
        elif operands[0] is NULL:
            operands = operands[1:]
        return _runs(operands[0], code, operands[1:])
    if opname == "BEFORE_WITH":
        # Its place on the stack is taken by the bound __exit__ already.
        operands = [getattr(operands[0], "__self__", operands[0])]
    return any(_is_method_of(type(operand), code) or _runs(operand, code, []) for operand in operands)


def _runs(function: Any, code: CodeType, arguments: list[Any]) -> bool:
    """True if calling `function` runs `code` and does nothing else that could be under way."""
    if isinstance(function, FunctionType):
        return function.__code__ is code
    if isinstance(function, MethodType):
        return _runs(function.__func__, code, arguments)
    if isinstance(function, partial):
        return _runs(function.func, code, arguments)
    if isinstance(function, GeneratorType):
        return function.gi_code is code
    if function is next:
        return bool(arguments) and _runs(arguments[0], code, [])
    if isinstance(function, type):
        return type(function) is type and _is_method_of(function, code)
    owner = getattr(function, "__self__", None)
    if isinstance(owner, GeneratorType):
        return owner.gi_code is code  # its send, throw or close
    return _is_method_of(type(function), code)  # an object with a __call__


def _is_method_of(cls: type, code: CodeType) -> bool:
    for ancestor in cls.__mro__:
        for attribute in vars(ancestor).values():
            function = getattr(attribute, "__func__", attribute)
            if isinstance(function, FunctionType) and function.__code__ is code:
                return True
    return False


# The frames between a task's own code and the switch to another task: what they do next is known from what the task
# has announced.
_SWITCHING = {ModelRuntime.announce.__code__, Greenlets.hand_over.__code__, Batons.hand_over.__code__}
_OUTERMOST = ModelRuntime.live_through.__code__


def chain(innermost: FrameType | None) -> list[Suspended]:
    """The frames of a task, from the one that announced its operation to the task's entry."""
    frame = innermost
    while frame is not None and frame.f_code not in _SWITCHING:
        frame = frame.f_back
    while frame is not None and frame.f_code in _SWITCHING:
        called, frame = frame, frame.f_back
    found = []
    while frame is not None and frame.f_code is not _OUTERMOST:
        found.append(Suspended(frame, called))
        called, frame = frame, frame.f_back
    return found


def result_is_dropped(frames: list[Suspended]) -> bool:
    """True if nobody looks at what the function of the first of these frames will return."""
    for caller in frames[1:]:
        fate = caller.facts.what_becomes_of_it(caller.frame.f_lasti)
        if fate != "returned":
            return fate == "dropped"
    return False


def _try_out() -> bool:
    """True if a frame whose content is known reads as it should, on this Python."""
    if sys.implementation.name != "cpython" or sys.version_info[:2] != (3, 11):
        return False
    read: list[Any] = []

    def look(frame: FrameType) -> bool:
        # Numbers are compared, and nothing is followed, until it is clear that this is the frame.
        address = _address(frame)
        if _word_at(address + 4 * _POINTER).value != id(frame.f_code):
            return False
        if [_word_at(address + _LOCALSPLUS + place * _POINTER).value for place in (0, 1)] != [id(first), id(second)]:
            return False
        read.extend(Suspended(frame, sys._getframe()).values)
        return True

    def known(one: object, other: object) -> Any:
        for element in (one,):
            return [other, look(sys._getframe()), element]

    first, second = object(), object()
    if not known(first, second)[1]:
        return False
    # one, other, element, NULL for nothing; then the loop's iterator and the list that is being made.
    return read[:3] == [first, second, first] and type(read[-2]) is type(iter(())) and read[-1] is second


READABLE = _try_out()
