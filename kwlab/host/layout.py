"""How a C struct lies in memory: fields, offsets, holes, cache lines.

`Layout` is what a compiler decided. `lay_out` decides it again from a list of fields, as the compiler does on a
64-bit machine, for kernels that are not here to be asked.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["CACHE_LINE", "Field", "Layout", "lay_out"]

CACHE_LINE = 64  # bytes, on x86-64 and most arm64


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `declaration` as C writes it (``unsigned int flags``), `offset` and `size` in bytes.

    A bit field has `bits` (its width) and starts at bit `bit` of the byte at `offset`.
    """

    name: str
    declaration: str
    offset: int
    size: int
    bit: int = 0
    bits: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """``struct NAME`` of the kernel `kernel`, `size` bytes long."""

    name: str
    size: int
    fields: tuple[Field, ...]
    kernel: str

    def __getitem__(self, name: str) -> Field:
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(
            f"struct {self.name} of {self.kernel} has no field {name!r}; "
            f"it has {', '.join(field.name for field in self.fields)}"
        )

    def __contains__(self, name: str) -> bool:
        return any(field.name == name for field in self.fields)

    def holes(self) -> Iterator[tuple[int, int]]:
        """Offset and size of every gap that alignment left, the padding at the end included."""
        end = 0
        for field in self.fields:
            if field.offset > end:
                yield end, field.offset - end
            end = max(end, field.offset + field.size)
        if end < self.size:
            yield end, self.size - end

    @property
    def cache_lines(self) -> int:
        """How many cache lines it takes, if it starts at one."""
        return -(-self.size // CACHE_LINE)

    def __str__(self) -> str:
        """The struct with offsets and sizes, in the manner of pahole."""
        gaps = dict(self.holes())
        rows: list[tuple[str, str]] = []
        line = 0
        for field in self.fields:
            if (before := _gap_before(field, gaps)) is not None:
                rows.append(("", f"/* hole of {gaps[before]} bytes */"))
            if field.offset // CACHE_LINE > line:
                line = field.offset // CACHE_LINE
                rows.append(("", f"/* --- cache line {line} starts at {line * CACHE_LINE} --- */"))
            width = f" : {field.bits}" if field.bits else ""
            rows.append((f"{field.declaration}{width};", f"/* {field.offset:5} {field.size:5} */"))
        end = max((field.offset + field.size for field in self.fields), default=0)
        if end in gaps:
            rows.append(("", f"/* padding of {gaps[end]} bytes */"))
        column = max((len(left) for left, _ in rows), default=0)
        body = "".join(f"    {left:<{column}}  {right}\n" if left else f"    {right}\n" for left, right in rows)
        total = f"    /* size: {self.size}, cache lines: {self.cache_lines}, fields: {len(self.fields)} */\n"
        return f"/* {self.kernel} */\nstruct {self.name} {{\n{body}{total}}};"


def _gap_before(field: Field, gaps: dict[int, int]) -> int | None:
    return next((start for start, size in gaps.items() if start + size == field.offset), None)


def lay_out(name: str, fields: Iterable[tuple[str, str, int, int]], kernel: str) -> Layout:
    """The layout of fields given as (name, declaration, size, alignment), in declaration order."""
    placed = []
    end, strictest = 0, 1
    for field, declaration, size, alignment in fields:
        end = _round_up(end, alignment)
        placed.append(Field(field, declaration, end, size))
        end += size
        strictest = max(strictest, alignment)
    return Layout(name, _round_up(end, strictest), tuple(placed), kernel)


def _round_up(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment
