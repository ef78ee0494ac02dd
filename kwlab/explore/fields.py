"""Observers on the fields of structs, in place only while somebody explores.

A field of a class with ``__slots__`` becomes a property, other classes get a ``__getattribute__`` and a
``__setattr__``; both do what the plain field does and, on a thread that explores, tell the race detector. Everything
is taken back when the exploration is over, so that structs cost nothing where nobody explores. A live worker on real
threads meanwhile goes through the property too, which finds no `epoch` on its task and leaves it alone.

Embedded structs, locks and completions are no fields in this sense: in C their name is an address, and no memory is
read to compute it. The two links of a list head are one field: whoever reads one of them reads the list.

What a detector knows of a field is its cell. The struct keeps it, in ``_shadow``: a list head its only one, every
other struct a dict of them, by field. What an execution left behind is nothing to the next: a cell names its detector.
"""

import functools
from collections.abc import Iterator
from types import MemberDescriptorType, SimpleNamespace
from typing import Any

from kwlab.explore.in_place import InPlace, Undo
from kwlab.listhead import ListHead
from kwlab.runtime.base import local
from kwlab.runtime.locks import ThreadBits, ThreadSpinLock
from kwlab.runtime.model_objects import ModelBits, ModelCompletion, ModelSpinLock
from kwlab.sched import Bits, Completion, SpinLock
from kwlab.struct import Struct

__all__ = [
    "LAST_READ",
    "LAST_WRITE",
    "LINKS",
    "MARKED",
    "NOBODY",
    "OWNER",
    "PLAIN",
    "Cell",
    "all_below",
    "cell_of",
    "expect",
    "forget",
    "observed_fields",
]

LINKS = "links"  # what the two links of a list head are called together
PLAIN = "_plain_"  # and a field's name: its slot, while it is observed

Cell = list[Any]
LAST_WRITE = 0  # its stamp, or None
LAST_READ = 1  # its stamp; of several that nothing puts in order a dict of stamps, by task number; or None
OWNER = 2  # the clock of a task behind whose present all of this lies; or NOBODY
DETECTOR = 3
MARKED = 4  # the stamps of the last marked accesses, by task number and kind, in a dict; or None
NOBODY: Any = object()

_EMBEDDED_TYPES = (SpinLock, Completion, Bits)
_EMBEDDED_OBJECTS = (ModelSpinLock, ModelCompletion, ModelBits, ThreadSpinLock, ThreadBits)

# The accessors of one slot. The plain slot is kept under the name ``plain``, where reading it is cheap. What the
# detector does with most accesses is done here, because a call is dear. So is the question which thread this is: first
# whoever comes is taken for the task that runs in the execution begun last. Where the cell is that task's, or at least
# its detector's, this must be so, since nobody else touches such a struct. Else it may be a live worker, or the task of
# another exploration.
_ACCESSORS = """
def get(self):
    {reads}
    return self.{plain}

def set(self, value):
    {writes}
    self.{plain} = value

def delete(self):
    del self.{plain}
"""
_ACCESS = """
    try:
        clock = runtime.running.epoch
        {load}
    except AttributeError:
        clock = None
        {load_anyway}
    if cell is not None and cell[{OWNER}] is clock:
        cell[{last}] = clock.stamp
    elif cell is not None and clock is not None and cell[{DETECTOR}] is clock.detector:
        clock.{verb}(cell, self, {field!r})
    else:
        try:
            clock = local.task.epoch
        except AttributeError:
            clock = None
        if clock is not None:
            if cell is None or cell[{DETECTOR}] is not clock.detector:
                {prepare}
                {place} = cell = {new}
                if clock.first is not None:
                    clock.first(cell, self, {field!r}, "{verb}s")
            else:
                clock.{verb}(cell, self, {field!r})
"""

_SHADOW: Any = vars(Struct)["_shadow"]
_NO_RUNTIME: Any = SimpleNamespace(running=SimpleNamespace(epoch=None))


def observed_fields() -> InPlace:
    """While the block runs, the fields of all structs are observed, also of classes made meanwhile."""
    return _observers


def expect(runtime: Any = _NO_RUNTIME) -> None:
    """From now on most accesses will be those of this runtime's running task, or nobody's."""
    _names["runtime"] = runtime


def cell_of(struct: Any, field: str, detector: Any) -> Cell:
    """The cell of ``struct.field``; if the `detector` has none, a new one, of nobody."""
    shadow = shadow_of(struct)
    only = type(struct) is ListHead
    cell: Cell | None = shadow if only or shadow is None else shadow.get(field)
    if cell is None or cell[DETECTOR] is not detector:
        cell = [None, None, NOBODY, detector, None]
        if shadow is None or only:
            _SHADOW.__set__(struct, cell if only else {field: cell})
            detector.shadows.append(struct)
        else:
            shadow[field] = cell
    return cell


def shadow_of(struct: Any) -> Any:
    """What detectors keep in a struct. None if nothing, or if its constructor has not called that of `Struct`."""
    try:
        return _SHADOW.__get__(struct)
    except AttributeError:
        return None


def forget(structs: list[Any]) -> None:
    """Nothing is known any more of the fields of these."""
    put = _SHADOW.__set__  # also for those that were freed
    for struct in structs:
        put(struct, None)
    structs.clear()


def _install(undo: Undo) -> None:
    def observe_new(cls: type[Struct], /) -> None:
        _observe(cls, undo)

    undo.append(expect)
    Struct.__init_subclass__ = classmethod(observe_new)  # type: ignore[assignment]
    undo.append(lambda: delattr(Struct, "__init_subclass__"))
    for cls in all_below(Struct):
        _observe(cls, undo)
    _put(ListHead, "__init__", _init_list_head, undo)


_observers = InPlace(_install)


def _init_list_head(self: Any) -> None:
    """As the constructor. Both links are one field, so it is enough to tell of one."""
    self._container = self._shadow = self._plain_next = None
    self.prev = None


def all_below(cls: type) -> Iterator[type[Struct]]:
    """All classes below `cls`."""
    below: type[Struct]
    for below in cls.__subclasses__():
        yield below
        yield from all_below(below)


def _observe(cls: type[Struct], undo: Undo) -> None:
    if ListHead in cls.__mro__[1:]:
        # More than a list head: its links are one field of several.
        for name in ("next", "prev"):
            _put(cls, name, _accessors(PLAIN + name, LINKS, only=False), undo)
    if cls.__dictoffset__:
        if not any(base.__dictoffset__ for base in cls.__mro__[1:] if issubclass(base, Struct)):
            _observe_attributes(cls, undo)
        return
    links = cls is ListHead
    for name, slot in list(vars(cls).items()):
        if _is_slot(name, slot) and name not in cls.DATA_RACY and not _is_embedded(cls, name):
            # The plain name stays for good: another thread may be between the property and the slot.
            setattr(cls, PLAIN + name, slot)
            _put(cls, name, _accessors(PLAIN + name, LINKS if links else name, only=links), undo)


def _put(cls: type, name: str, observer: Any, undo: Undo) -> None:
    """Make `observer` the attribute of a class, until nobody explores any more."""
    if name in vars(cls):
        plain = vars(cls)[name]
        undo.append(lambda: setattr(cls, name, plain))
    else:
        undo.append(lambda: delattr(cls, name))
    setattr(cls, name, observer)


def _is_slot(name: str, value: object) -> bool:
    return isinstance(value, MemberDescriptorType) and not name.startswith(PLAIN)


def _is_embedded(cls: type, name: str) -> bool:
    # Annotations that are text or unions are pointers, or harmless to observe: what is embedded is never written again.
    kind = vars(cls).get("__annotations__", {}).get(name)
    return isinstance(kind, type) and (issubclass(kind, Struct) or kind in _EMBEDDED_TYPES)


@functools.cache
def _accessors(plain: str, field: str, only: bool) -> property:
    """The property of a slot; `only`: its cell is the struct's only one."""
    if only:
        load, place, prepare = "cell = {shadow}", "self._shadow", "clock.detector.shadows.append(self)"
    else:
        load = f"cells = {{shadow}}\n        cell = cells.get({field!r}) if cells is not None else None"
        place = f"cells[{field!r}]"
        indent = "\n" + 20 * " "
        prepare = f"if cells is None:{indent}cells = self._shadow = {{}}{indent}clock.detector.shadows.append(self)"
    where = {"place": place, "prepare": prepare, "field": field, "OWNER": OWNER, "DETECTOR": DETECTOR}
    loads = {"load": load.format(shadow="self._shadow"), "load_anyway": load.format(shadow="shadow_of(self)")}
    access = functools.partial(_ACCESS.strip().format, **where, **loads)
    texts = {
        "reads": access(verb="read", last=LAST_READ, new="[None, clock.stamp, clock, clock.detector, None]"),
        "writes": access(verb="write", last=LAST_WRITE, new="[clock.stamp, None, clock, clock.detector, None]"),
    }
    made: dict[str, Any] = {}
    exec(compile(_ACCESSORS.format(plain=plain, **texts), __file__, "exec"), _names, made)
    return property(made["get"], made["set"], made["delete"])


# What the accessors see: one dict for all of them.
_names: dict[str, Any] = {"local": local, "runtime": _NO_RUNTIME, "shadow_of": shadow_of}


def _observe_attributes(cls: type, undo: Undo) -> None:
    """For a class whose objects have a ``__dict__``: whatever is in there is a field."""
    plain_get: Any = cls.__getattribute__
    plain_set: Any = cls.__setattr__

    def get(self: Any, name: str) -> Any:
        value = plain_get(self, name)
        clock = getattr(getattr(local, "task", None), "epoch", None)
        if clock is not None and name in plain_get(self, "__dict__") and _is_field(self, name, value):
            clock.read(cell_of(self, name, clock.detector), self, name)
        return value

    def set(self: Any, name: str, value: Any) -> None:
        clock = getattr(getattr(local, "task", None), "epoch", None)
        if clock is not None and _is_field(self, name, value):
            clock.write(cell_of(self, name, clock.detector), self, name)
        plain_set(self, name, value)

    _put(cls, "__getattribute__", get, undo)
    _put(cls, "__setattr__", set, undo)


def _is_field(struct: Any, name: str, value: Any) -> bool:
    if name in ("_container", "_shadow") or name in type(struct).DATA_RACY:
        return False
    if isinstance(value, Struct):
        return vars(Struct)["_container"].__get__(value) is not struct
    return not isinstance(value, _EMBEDDED_OBJECTS)
