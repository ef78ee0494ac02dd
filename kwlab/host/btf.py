"""BTF, the type information that a kernel carries about itself, read without any tool.

The file is a header, a table of types and a table of strings. A type's number is its place in the table, and types
name each other by number; so one pass finds where each type starts, and only the structs asked for are decoded.
Mirrors include/uapi/linux/btf.h, Linux 6.18 (Documentation/bpf/btf.rst).
"""

import os
import struct
import sys
from collections.abc import Collection
from pathlib import Path

from kwlab.host.layout import Field, Layout

__all__ = ["VMLINUX", "Btf", "BtfError"]

VMLINUX = Path("/sys/kernel/btf/vmlinux")

MAGIC = 0xEB9F
(INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT) = range(1, 12)
(FUNC, FUNC_PROTO, VAR, DATASEC, FLOAT, DECL_TAG, TYPE_TAG, ENUM64) = range(12, 20)

# Bytes that follow a type's 12: a fixed number, and a number for each of its members.
FIXED = {INT: 4, ARRAY: 12, VAR: 4, DECL_TAG: 4}
EACH = {STRUCT: 12, UNION: 12, ENUM: 8, FUNC_PROTO: 8, DATASEC: 12, ENUM64: 12}
QUALIFIERS = {VOLATILE: "volatile ", CONST: "const ", RESTRICT: "restrict "}
TAGS = {STRUCT: "struct ", UNION: "union ", ENUM: "enum ", ENUM64: "enum "}


class BtfError(ValueError):
    """The file is no BTF, is damaged, or has no such struct."""


class Btf:
    """The types of one BTF file. `kernel` is how its layouts call it."""

    def __init__(self, data: bytes, kernel: str) -> None:
        self.kernel = kernel
        if len(data) < 24:
            raise BtfError(f"{kernel}: {len(data)} bytes are no BTF: its header alone takes 24")
        self._order = "<" if data[:2] == MAGIC.to_bytes(2, "little") else ">"
        magic, version, _, header, types, types_size, strings, strings_size = struct.unpack_from(
            f"{self._order}HBBIIIII", data
        )
        if magic != MAGIC:
            raise BtfError(f"{kernel}: no BTF: it starts with {magic:#06x}, not with {MAGIC:#06x}")
        if version != 1:
            raise BtfError(f"{kernel}: BTF version {version}; this reader knows version 1")
        self._types = data[header + types : header + types + types_size]
        self._strings = data[header + strings : header + strings + strings_size]
        if len(self._types) < types_size or len(self._strings) < strings_size:
            raise BtfError(f"{kernel}: the BTF ends in the middle of its tables")
        self._starts, self._structs = self._index()

    @classmethod
    def of_this_kernel(cls) -> "Btf":
        """The running kernel's. `OSError` where it carries none (not Linux, or CONFIG_DEBUG_INFO_BTF is off)."""
        return cls(VMLINUX.read_bytes(), f"Linux {os.uname().release}")

    def _index(self) -> tuple[list[int], dict[int, list[int]]]:
        """Where each type starts, and the structs by the place of their name."""
        types, header = self._types, struct.Struct(f"{self._order}III").unpack_from
        structs: dict[int, list[int]] = {}
        starts, place, end = [-1], 0, len(self._types)
        try:
            while place < end:
                name, info, _ = header(types, place)
                kind = info >> 24 & 31
                if kind == STRUCT:
                    structs.setdefault(name, []).append(len(starts))
                starts.append(place)
                place += 12 + FIXED.get(kind, 0) + EACH.get(kind, 0) * (info & 0xFFFF)
        except struct.error:
            place = -1
        if place != end:
            raise BtfError(f"{self.kernel}: the table of types is cut off near type {len(starts) - 1}")
        return starts, structs

    def layouts(self, names: Collection[str]) -> dict[str, Layout]:
        """The layouts of the structs called `names`; `BtfError` names those that are not there."""
        found, missing = {}, []
        for name in names:
            place = self._strings.find(b"\0" + name.encode() + b"\0")
            numbers = self._structs.get(place + 1, []) if place >= 0 else []
            if not numbers:
                missing.append(name)
                continue
            try:
                found[name] = self._layout(name, numbers[0])
            except (struct.error, IndexError, RecursionError, UnicodeDecodeError) as error:
                raise BtfError(f"{self.kernel}: struct {name} is damaged: {error}") from error
        if missing:
            raise BtfError(f"{self.kernel} has no struct called {', '.join(missing)}")
        return found

    def _layout(self, name: str, number: int) -> Layout:
        _, info, size = self._head(number)
        place = self._starts[number] + 12
        fields = []
        for member in range(info & 0xFFFF):
            name_at, type_, offset = struct.unpack_from(f"{self._order}III", self._types, place + 12 * member)
            bits = 0
            if info >> 31:  # offsets carry the width of bit fields in their top byte
                offset, bits = offset & 0xFFFFFF, offset >> 24
            field = self._string(name_at)
            fields.append(
                Field(field, self.declare(type_, field), offset // 8, self.size(type_), offset % 8 if bits else 0, bits)
            )
        return Layout(name, size, tuple(fields), self.kernel)

    def size(self, number: int) -> int:
        """Bytes that a value of the type takes."""
        _, info, size_or_type = self._head(number)
        kind = info >> 24 & 31
        if kind == PTR:
            return 8 if sys.maxsize > 1 << 32 else 4
        if kind == ARRAY:
            element, _, count = self._extra(number)
            return self.size(element) * count
        if kind in (TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG):
            return self.size(size_or_type)
        return size_or_type

    def declare(self, number: int, name: str) -> str:
        """The C declaration of `name` with the given type: declarators grow outwards from the name."""
        if number == 0:
            return f"void {name}".rstrip()
        name_at, info, to = self._head(number)
        kind, own = info >> 24 & 31, self._string(name_at)
        if kind == PTR:
            return self.declare(to, f"*{name}")
        if kind == TYPE_TAG:
            return self.declare(to, name)
        if kind == ARRAY:
            element, _, count = self._extra(number)
            return self.declare(element, f"{_bracketed(name)}[{count}]")
        if kind == FUNC_PROTO:
            return self.declare(to, f"{_bracketed(name)}({self._parameters(number, info & 0xFFFF)})")
        if kind in QUALIFIERS:
            # A qualifier of a pointer stands behind the star, one of anything else in front of the type.
            if self._head(to)[1] >> 24 & 31 == PTR if to else False:
                return self.declare(to, QUALIFIERS[kind] + name)
            return QUALIFIERS[kind] + self.declare(to, name)
        if kind == FWD:
            return f"{'union' if info >> 31 else 'struct'} {own} {name}".rstrip()
        return f"{TAGS.get(kind, '')}{own or '{...}'} {name}".rstrip()

    def _parameters(self, number: int, count: int) -> str:
        place = self._starts[number] + 12
        parameters = [struct.unpack_from(f"{self._order}II", self._types, place + 8 * i)[1] for i in range(count)]
        return ", ".join(self.declare(type_, "") if type_ else "..." for type_ in parameters) or "void"

    def _head(self, number: int) -> tuple[int, int, int]:
        if not 0 < number < len(self._starts):
            raise BtfError(f"{self.kernel}: type {number} is named, but there are {len(self._starts) - 1}")
        name, info, size = struct.unpack_from(f"{self._order}III", self._types, self._starts[number])
        return name, info, size

    def _extra(self, number: int) -> tuple[int, int, int]:
        element, index, count = struct.unpack_from(f"{self._order}III", self._types, self._starts[number] + 12)
        return element, index, count

    def _string(self, place: int) -> str:
        end = self._strings.find(b"\0", place)
        if end < 0:
            raise BtfError(f"{self.kernel}: a name at {place}, but the names end at {len(self._strings)}")
        return self._strings[place:end].decode()


def _bracketed(name: str) -> str:
    return f"({name})" if name.startswith("*") else name
