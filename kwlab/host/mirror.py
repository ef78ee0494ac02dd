"""ctypes twins of the kernel's structs, generated from a layout and checked against it: same size, same offsets.

They are for looking at bytes, as a debugger does: pointers are addresses, and structs whose insides are not known here
are words.
"""

import ctypes
from contextlib import suppress
from typing import Any

from kwlab.host.layout import Field, Layout
from kwlab.host.structs import STRUCTS, kernel_struct

__all__ = ["MirrorError", "mirror", "mirror_of"]

UNSIGNED = {1: ctypes.c_uint8, 2: ctypes.c_uint16, 4: ctypes.c_uint32, 8: ctypes.c_uint64}
SIGNED = {1: ctypes.c_int8, 2: ctypes.c_int16, 4: ctypes.c_int32, 8: ctypes.c_int64}


class MirrorError(ValueError):
    """ctypes lays the struct out in another way than the kernel's compiler did."""


def mirror(name: str, kernel: str = "this") -> type[ctypes.Structure]:
    """The twin of ``struct NAME`` of that kernel (see `kernel_struct`). Errors: `ValueError`, `MirrorError`."""
    return mirror_of(kernel_struct(name, kernel), kernel)


def mirror_of(layout: Layout, kernel: str) -> type[ctypes.Structure]:
    """The twin of `layout`; the structs in it are those of `kernel`."""
    fields = [_field(field, kernel) for field in layout.fields]
    what = f"struct {layout.name} of {layout.kernel}"
    twin = type(layout.name, (ctypes.Structure,), {"_fields_": fields, "__doc__": str(layout)})
    for field in layout.fields:
        offset = getattr(twin, field.name).offset
        if not field.bits and offset != field.offset:
            raise MirrorError(f"{what}: {field.name} lies at {field.offset}, ctypes puts it at {offset}")
    if ctypes.sizeof(twin) != layout.size:
        raise MirrorError(f"{what} takes {layout.size} bytes, with ctypes {ctypes.sizeof(twin)}")
    return twin


def _field(field: Field, kernel: str) -> tuple[Any, ...]:
    return (field.name, _type(field, kernel), *([field.bits] if field.bits else []))


def _type(field: Field, kernel: str) -> Any:
    words = field.declaration.split()
    if field.declaration.count("*") or "(" in field.declaration:
        return ctypes.c_void_p
    if words[0] == "struct" and words[1] in STRUCTS and "[" not in field.declaration:
        with suppress(ValueError):  # of older kernels only the worker and the work are known
            return mirror(words[1], kernel)
    if words[0] not in ("struct", "union") and "[" not in field.declaration and field.size in UNSIGNED:
        plain = words[0] in ("int", "long", "short", "char") and "unsigned" not in words
        return (SIGNED if plain else UNSIGNED)[field.size]
    word = next(size for size in (8, 4, 2, 1) if field.offset % size == field.size % size == 0)
    return UNSIGNED[word] * (field.size // word)
