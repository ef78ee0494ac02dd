"""Observers on the fields of structs, in place only while somebody explores.

A field of a class with ``__slots__`` becomes a property, other classes get a ``__getattribute__`` and a
``__setattr__``; both do what the plain field does and, on a thread that explores, tell the race detector. Everything
is taken back when the exploration is over, so that structs cost nothing where nobody explores. A live worker on real
threads meanwhile goes through the property too, which finds no `epoch` on its task and leaves it alone.

Embedded structs, locks and completions are no fields in this sense: in C their name is an address, and no memory is
read to compute it. The two links of a list head are one field: whoever reads one of them reads the list.
"""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MemberDescriptorType
from typing import Any

from kwlab.listhead import ListHead
from kwlab.runtime.base import local
from kwlab.runtime.locks import ThreadBits, ThreadSpinLock
from kwlab.runtime.model_objects import ModelBits, ModelCompletion, ModelSpinLock
from kwlab.sched import Bits, Completion, SpinLock
from kwlab.struct import Struct

__all__ = ["LINKS", "PLAIN", "address", "all_below", "observed_fields"]

LINKS = "links"  # what the two links of a list head are called together
PLAIN = "_plain_"  # and a field's name: its slot, while it is observed

_EMBEDDED_TYPES = (SpinLock, Completion, Bits)
_EMBEDDED_OBJECTS = (ModelSpinLock, ModelCompletion, ModelBits, ThreadSpinLock, ThreadBits)

# The accessors of one slot. The plain slot is kept under the name ``plain``, where reading it is cheap. What the
# detector does with most accesses is done here, because a call is dear; `kwlab.explore.races.Clock` tells what is in
# a cell.
_ACCESSORS = """
def get(self):
    try:
        clock = local.task.epoch
    except AttributeError:
        clock = None
    if clock is not None:
        cell = clock.cells.get({address})
        if cell is None:
            clock.cells[{address}] = [None, clock.stamp, self, clock]
        elif cell[3] is clock:
            cell[1] = clock.stamp
        elif cell[1] is not clock.stamp and cell[0] is not clock.stamp:
            clock.read(cell, self, {field!r})
    return self.{plain}

def set(self, value):
    try:
        clock = local.task.epoch
    except AttributeError:
        clock = None
    if clock is not None:
        cell = clock.cells.get({address})
        if cell is None:
            clock.cells[{address}] = [clock.stamp, None, self, clock]
        elif cell[3] is clock:
            cell[0] = clock.stamp
        elif cell[0] is not clock.stamp:
            clock.write(cell, self, {field!r})
    self.{plain} = value

def delete(self):
    del self.{plain}
"""

_lock = threading.Lock()
_explorations = 0
_undo: list[Callable[[], None]] = []
_offsets: dict[tuple[type, str], int] = {}


@contextmanager
def observed_fields() -> Iterator[None]:
    """While the block runs, the fields of all structs are observed, also of classes made meanwhile."""
    global _explorations
    with _lock:
        _explorations += 1
        if _explorations == 1:
            _install()
    try:
        yield
    finally:
        with _lock:
            _explorations -= 1
            if not _explorations:
                while _undo:
                    _undo.pop()()


def address(struct: Any, field: str) -> Any:
    """Where the field of a struct is: the key of its cell."""
    if isinstance(struct, ListHead):
        return struct
    for cls in type(struct).__mro__:
        if (cls, field) in _offsets:
            return id(struct) + _offsets[cls, field]
    return id(struct), field


def _install() -> None:
    def observe_new(cls: type[Struct], /) -> None:
        _observe(cls)

    Struct.__init_subclass__ = classmethod(observe_new)  # type: ignore[assignment]
    _undo.append(lambda: delattr(Struct, "__init_subclass__"))
    for cls in all_below(Struct):
        _observe(cls)


def all_below(cls: type) -> Iterator[type[Struct]]:
    """All classes below `cls`."""
    below: type[Struct]
    for below in cls.__subclasses__():
        yield below
        yield from all_below(below)


def _observe(cls: type[Struct]) -> None:
    if cls.__dictoffset__:
        if not any(base.__dictoffset__ for base in cls.__mro__[1:] if issubclass(base, Struct)):
            _observe_attributes(cls)
        return
    slots = [name for name, value in vars(cls).items() if _is_slot(name, value)]
    for offset, name in enumerate(slots, 1):
        if name not in cls.DATA_RACY and not _is_embedded(cls, name):
            _observe_slot(cls, name, offset)


def _is_slot(name: str, value: object) -> bool:
    return isinstance(value, MemberDescriptorType) and not name.startswith(PLAIN)


def _is_embedded(cls: type, name: str) -> bool:
    # Annotations that are text or unions are pointers, or harmless to observe: what is embedded is never written again.
    kind = vars(cls).get("__annotations__", {}).get(name)
    return isinstance(kind, type) and (issubclass(kind, Struct) or kind in _EMBEDDED_TYPES)


def _observe_slot(cls: type, name: str, offset: int) -> None:
    slot, plain = vars(cls)[name], PLAIN + name
    _offsets[cls, name] = offset
    # A field's address, as in C: no two fields of living objects share one, since an object is larger than `offset`.
    where, field = ("self", LINKS) if cls is ListHead else (f"id(self) + {offset}", name)
    setattr(cls, plain, slot)
    setattr(cls, name, _accessors(plain, field, where))

    # The plain name stays: another thread may be between the property and the slot.
    _undo.append(lambda: setattr(cls, name, slot))


@functools.cache
def _accessors(plain: str, field: str, where: str) -> property:
    made: dict[str, Any] = {"local": local}
    exec(compile(_ACCESSORS.format(plain=plain, field=field, address=where), __file__, "exec"), made)
    return property(made["get"], made["set"], made["delete"])


def _observe_attributes(cls: type) -> None:
    """For a class whose objects have a ``__dict__``: whatever is in there is a field."""
    plain_get: Any = cls.__getattribute__
    plain_set: Any = cls.__setattr__
    own = [(name, vars(cls).get(name)) for name in ("__getattribute__", "__setattr__")]

    def get(self: Any, name: str) -> Any:
        value = plain_get(self, name)
        clock = getattr(getattr(local, "task", None), "epoch", None)
        if clock is not None and name in plain_get(self, "__dict__") and _is_field(self, name, value):
            cell = clock.cells.get((id(self), name))
            if cell is None:
                clock.cells[id(self), name] = [None, clock.stamp, self, clock]
            elif cell[3] is clock:
                cell[1] = clock.stamp
            elif cell[1] is not clock.stamp and cell[0] is not clock.stamp:
                clock.read(cell, self, name)
        return value

    def set(self: Any, name: str, value: Any) -> None:
        clock = getattr(getattr(local, "task", None), "epoch", None)
        if clock is not None and _is_field(self, name, value):
            cell = clock.cells.get((id(self), name))
            if cell is None:
                clock.cells[id(self), name] = [clock.stamp, None, self, clock]
            elif cell[3] is clock:
                cell[0] = clock.stamp
            elif cell[0] is not clock.stamp:
                clock.write(cell, self, name)
        plain_set(self, name, value)

    cls.__getattribute__ = get  # type: ignore[assignment,method-assign]
    cls.__setattr__ = set  # type: ignore[assignment,method-assign]

    def restore() -> None:
        for name, value in own:
            if value is None:
                delattr(cls, name)
            else:
                setattr(cls, name, value)

    _undo.append(restore)


def _is_field(struct: Any, name: str, value: Any) -> bool:
    if name == "_container" or name in type(struct).DATA_RACY:
        return False
    if isinstance(value, Struct):
        return vars(Struct)["_container"].__get__(value) is not struct
    return not isinstance(value, _EMBEDDED_OBJECTS)
