"""Observers on the fields of structs, in place only while somebody explores.

A field of a class with ``__slots__`` becomes a property, other classes get a ``__getattribute__`` and a
``__setattr__``; both do what the plain field does and, on a thread that explores, tell the race detector. Everything
is taken back when the exploration is over, so that structs cost nothing where nobody explores. A live worker on real
threads meanwhile goes through the property too, which finds no `epoch` on its task and leaves it alone.

Embedded structs, locks and completions are no fields in this sense: in C their name is an address, and no memory is
read to compute it.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MemberDescriptorType
from typing import Any

from kwlab.runtime.base import local
from kwlab.runtime.locks import ThreadBits, ThreadSpinLock
from kwlab.runtime.model_objects import ModelBits, ModelCompletion, ModelSpinLock
from kwlab.sched import Bits, Completion, SpinLock
from kwlab.struct import Struct

__all__ = ["observed_fields"]

_EMBEDDED_TYPES = (SpinLock, Completion, Bits)
_EMBEDDED_OBJECTS = (ModelSpinLock, ModelCompletion, ModelBits, ThreadSpinLock, ThreadBits)

# The accessors of one slot. The plain slot is kept under the name ``plain``, where reading it is cheap; a cell's
# first two items are the epochs of the last write and the last read (see `kwlab.explore.races`).
_ACCESSORS = """
def get(self):
    try:
        epoch = local.task.epoch
    except AttributeError:
        epoch = None
    if epoch is not None:
        cell = epoch.cells.get(id(self) + {offset})
        if cell is None or (cell[1] is not epoch and cell[0] is not epoch):
            epoch.detector.read(epoch, id(self) + {offset}, self, {field!r})
    return self.{plain}

def set(self, value):
    try:
        epoch = local.task.epoch
    except AttributeError:
        epoch = None
    if epoch is not None:
        cell = epoch.cells.get(id(self) + {offset})
        if cell is None or cell[0] is not epoch:
            epoch.detector.write(epoch, id(self) + {offset}, self, {field!r})
    self.{plain} = value

def delete(self):
    del self.{plain}
"""

_lock = threading.Lock()
_explorations = 0
_undo: list[Callable[[], None]] = []


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


def _install() -> None:
    def observe_new(cls: type[Struct], **options: Any) -> None:
        super(Struct, cls).__init_subclass__(**options)
        _observe(cls)

    Struct.__init_subclass__ = classmethod(observe_new)  # type: ignore[assignment]
    _undo.append(lambda: delattr(Struct, "__init_subclass__"))
    for cls in _all_below(Struct):
        _observe(cls)


def _all_below(cls: type) -> Iterator[type[Struct]]:
    for below in cls.__subclasses__():
        yield below
        yield from _all_below(below)


def _observe(cls: type[Struct]) -> None:
    if cls.__dictoffset__:
        if not any(base.__dictoffset__ for base in cls.__mro__[1:] if issubclass(base, Struct)):
            _observe_attributes(cls)
        return
    slots = [name for name, value in vars(cls).items() if isinstance(value, MemberDescriptorType)]
    for offset, name in enumerate(slots, 1):
        if name not in cls.DATA_RACY and not _is_embedded(cls, name):
            _observe_slot(cls, name, offset)


def _is_embedded(cls: type, name: str) -> bool:
    # Annotations that are text or unions are pointers, or harmless to observe: what is embedded is never written again.
    kind = vars(cls).get("__annotations__", {}).get(name)
    return isinstance(kind, type) and (issubclass(kind, Struct) or kind in _EMBEDDED_TYPES)


def _observe_slot(cls: type, name: str, offset: int) -> None:
    slot, plain = vars(cls)[name], f"_plain_{name}"
    made: dict[str, Any] = {"local": local}
    # A field's address, as in C: no two fields of living objects share one, since an object is larger than `offset`.
    exec(_ACCESSORS.format(plain=plain, field=name, offset=offset), made)
    setattr(cls, plain, slot)
    setattr(cls, name, property(made["get"], made["set"], made["delete"]))

    def restore() -> None:
        setattr(cls, name, slot)
        delattr(cls, plain)

    _undo.append(restore)


def _observe_attributes(cls: type) -> None:
    """For a class whose objects have a ``__dict__``: whatever is in there is a field."""
    plain_get, plain_set = cls.__getattribute__, cls.__setattr__
    own = [(name, vars(cls).get(name)) for name in ("__getattribute__", "__setattr__")]

    def get(self: Any, name: str) -> Any:
        value = plain_get(self, name)
        epoch = getattr(getattr(local, "task", None), "epoch", None)
        if epoch is not None and name in plain_get(self, "__dict__") and not _embedded_in(self, value):
            if name not in plain_get(self, "DATA_RACY"):
                epoch.detector.read(epoch, (id(self), name), self, name)
        return value

    def set(self: Any, name: str, value: Any) -> None:
        epoch = getattr(getattr(local, "task", None), "epoch", None)
        if epoch is not None and name not in plain_get(self, "DATA_RACY") and not _embedded_in(self, value):
            epoch.detector.write(epoch, (id(self), name), self, name)
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


def _embedded_in(struct: Any, value: Any) -> bool:
    if isinstance(value, Struct):
        return vars(Struct)["_container"].__get__(value) is struct
    return isinstance(value, _EMBEDDED_OBJECTS)
