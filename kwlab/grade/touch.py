"""Which fields of which structs an explored answer may read and write: those that the kernel has, and no others.

The structs are the referee's own, so this list is a wall: nothing behind it (the runtime, the schedule) can be reached.
"""

from typing import Any

from kwlab.listhead import ListHead
from kwlab.runtime.model_objects import ModelTask
from kwlab.struct import Struct, _members, freed
from kwlab.timer import TimerList
from kwlab.worker import KthreadWorker

__all__ = ["FieldError", "read", "write"]

_HIDDEN: dict[type, set[str]] = {KthreadWorker: {"kept", "on_deadlock"}}
_FIXED: dict[type, set[str]] = {KthreadWorker: {"lock"}}


class FieldError(Exception):
    """An answer touches what is not there, or not for it."""


def _known(thing: Any, field: str) -> bool:
    if isinstance(thing, ModelTask):
        return field in ("state", "name")
    if not isinstance(thing, Struct) or isinstance(thing, TimerList) or field.startswith("_"):
        return False
    if freed(thing):
        return True  # whatever it is: the touch says what has become of it
    if isinstance(thing, ListHead):
        return field in ("next", "prev")
    return field in _members(type(thing)) and field not in _HIDDEN.get(type(thing), ())


def read(thing: Any, field: str) -> Any:
    """``thing.field``."""
    if not _known(thing, field):
        raise FieldError(f"a {type(thing).__name__} has no field `{field}`")
    return getattr(thing, field)


def write(thing: Any, field: str, value: Any) -> None:
    """``thing.field = value``."""
    if not _known(thing, field) or (isinstance(thing, ModelTask) and field != "state"):
        raise FieldError(f"a {type(thing).__name__} has no field `{field}` to write")
    if not freed(thing) and not isinstance(thing, ModelTask):
        kind = None if isinstance(thing, ListHead) else _members(type(thing)).get(field)
        if field in _FIXED.get(type(thing), ()) or (isinstance(kind, type) and issubclass(kind, Struct)):
            raise FieldError(f"`{field}` of a {type(thing).__name__} is part of it: change its fields, not the whole")
    setattr(thing, field, value)
