"""C structs for Python: embedded members, ``container_of``, and memory that can be freed.

Three things a kernel programmer leans on and Python does not have:

* A member *is inside* its struct, so a pointer to the member leads back to the struct. Here every `Struct`
  remembers the struct that it is embedded in, and `container_of` follows that instead of subtracting an offset.
* Memory comes zeroed from ``kzalloc`` and is used before any initialiser runs. Constructors take no argument.
* ``kfree`` ends a lifetime while pointers to it still exist. Here `kfree` poisons the object by giving it another
  class: every later touch raises `UseAfterFree`, and code that never frees pays nothing for it.
"""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar, get_type_hints

from kwlab.errors import UseAfterFree

__all__ = ["Struct", "container_of", "freed", "kfree"]

T = TypeVar("T", bound="Struct")


class Struct:
    """Base of everything with an address. Annotated members are made as C would: a struct type is embedded,
    ``int``, ``bool`` and ``str`` start as zero, anything else (``X | None``: a pointer) as ``None``.

    ``DATA_RACY`` names the fields that the kernel reads and writes without a common lock on purpose
    (its ``__data_racy`` qualifier): a race detector leaves them alone. ``SET_ONCE``: those of them that only an
    initialiser stores to, so that it makes no difference who comes first.
    """

    __slots__ = ("_container", "_shadow")
    ABOUT_THE_PAST = ("_shadow",)  # no part of the state
    DATA_RACY: frozenset[str] = frozenset()
    SET_ONCE: frozenset[str] = frozenset()

    _container: Any
    _shadow: Any  # what a race detector keeps of the fields, as the shadow memory of KMSAN

    def __init__(self) -> None:
        self._container = self._shadow = None
        for name, kind in _members(type(self)).items():
            if isinstance(kind, type) and issubclass(kind, Struct):
                embed(self, name, kind())
            elif name not in type(self).__dict__ or name in getattr(type(self), "__slots__", ()):
                setattr(self, name, kind() if kind in (int, bool, str) else None)


def _members(cls: type) -> dict[str, Any]:
    cached: dict[str, Any] | None = cls.__dict__.get("_member_types")
    if cached is None:
        hints = get_type_hints(cls).items()
        cached = {name: kind for name, kind in hints if name not in ("_container", "_shadow", "DATA_RACY", "SET_ONCE")}
        cls._member_types = cached  # type: ignore[attr-defined]
    return cached


def member_names(cls: type) -> list[str]:
    """The names of the annotated members of a struct type."""
    return list(_members(cls))


def embed(container: Struct, name: str, member: Struct) -> None:
    """Put `member` inside `container` as field `name`, so that `container_of` finds the way back."""
    member._container = container
    setattr(container, name, member)


def container_of(pointer: Struct, kind: type[T], member: str) -> T:
    """The `kind` in which `pointer` is embedded as `member`.

    Raises `TypeError` where C would compute a wrong address in silence: when `pointer` is not that member.
    Mirrors ``container_of()``, include/linux/container_of.h, Linux 6.18.
    """
    container = pointer._container
    if (container.__class__ is kind or isinstance(container, kind)) and getattr(container, member) is pointer:
        found: T = container
        return found
    inside = f"is inside a {type(container).__name__}" if container is not None else "is inside no struct"
    raise TypeError(
        f"container_of(ptr, {kind.__name__}, {member!r}): this {type(pointer).__name__} {inside}, "
        f"not the member {member!r} of a {kind.__name__}"
    )


class _Grave:
    """What is left of a freed object: its name and what became of it. Sits in the `_container` slot."""

    __slots__ = ("error", "fate", "name")

    def __init__(self, name: str, fate: str, error: type[Exception]) -> None:
        self.name, self.fate, self.error = name, fate, error


_poison_classes: dict[type, type] = {}
# Called with every struct that is about to be poisoned: nobody, unless one explores.
poisoning: list[Callable[["Struct"], object]] = []


def kfree(struct: Struct) -> None:
    """Free `struct` and everything embedded in it; every later touch raises `UseAfterFree`.

    Errors: `TypeError` for anything but a `Struct`; `UseAfterFree` when it was freed before.
    Mirrors ``kfree()``, mm/slub.c, Linux 6.18, with poisoning switched on.
    """
    if not isinstance(struct, Struct):
        raise TypeError(f"kfree() takes a Struct, not {type(struct).__name__}: derive your class from kwlab.Struct")
    if freed(struct):
        struct._container  # noqa: B018  the touch raises UseAfterFree: a double free
    poison(struct, f"was freed in {place_of(sys._getframe(1))}", UseAfterFree)


def freed(struct: Struct) -> bool:
    """True once `struct` was freed. (Only a test or a debugger may ask: the kernel cannot.)"""
    return is_poisoned(type(struct))


def is_poisoned(cls: type) -> bool:
    """True for what the class of a freed struct is."""
    return cls in _poison_classes.values()


def poison(struct: Struct, fate: str, error: type[Exception]) -> None:
    """From now on every touch of `struct`, or of what is embedded in it, raises `error` and tells its `fate`."""
    for name in _members(type(struct)):
        member = getattr(struct, name, None)
        if isinstance(member, Struct) and not freed(member) and member._container is struct:
            poison(member, fate, error)
    for tell in poisoning:
        tell(struct)
    cls = type(struct)
    if cls not in _poison_classes:
        _poison_classes[cls] = type(
            cls.__name__,
            (cls,),
            {"__slots__": (), "__getattribute__": _touch, "__setattr__": _touch, "__repr__": _freed_repr},
        )
    struct._container = _Grave(cls.__name__, fate, error)
    struct.__class__ = _poison_classes[cls]


def grave(struct: Struct) -> Any:
    """What is left of a freed struct. Nothing else of it can be read any more."""
    # The slot itself, past the poisoned class's own attribute access.
    return vars(Struct)["_container"].__get__(struct)


def _touch(struct: Struct, field: str, *value: Any) -> Any:
    if field == "__class__":
        return type(struct)
    left = grave(struct)
    verb = "write to" if value else "read of"
    what = "use after free: " if left.error is UseAfterFree else ""
    raise left.error(f"{what}{verb} {left.name}.{field}; the {left.name} {left.fate}")


def _freed_repr(struct: Struct) -> str:
    left = grave(struct)
    return f"<freed {left.name}>"


def place_of(frame: FrameType | None) -> str:
    """``function(), file:line`` of a frame, never with a path (a notebook's cells have none worth showing)."""
    if frame is None:
        return "an unknown place"
    code = frame.f_code
    file = code.co_filename.replace("\\", "/")
    name = "cell" if "/ipykernel_" in file or file.startswith("<") else file.rsplit("/", 1)[-1]
    return f"{code.co_name}(), {name}:{frame.f_lineno}"
