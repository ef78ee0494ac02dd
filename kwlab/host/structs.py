"""The structs of a kthread_worker: of the kernel that runs here, or of kernels that were looked at before.

`structs.json` holds what the BTF of a Linux 6.18 (x86-64, lock debugging off) said, and the fields of older kernels
whose offsets `lay_out` finds as their compilers did.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from kwlab.host.btf import Btf, BtfError
from kwlab.host.layout import Field, Layout, lay_out

__all__ = ["KERNELS", "STRUCTS", "compare_structs", "kernel_struct"]

STRUCTS = ("kthread_worker", "kthread_work", "kthread_delayed_work", "list_head", "timer_list", "kthread", "completion")
KERNELS = ("3.19", "4.9", "6.1", "6.18", "this")


def kernel_struct(name: str, kernel: str = "6.18") -> Layout:
    """The layout of ``struct NAME``.

    `kernel` is a recorded one ("6.18"; "3.19", "4.9" and "6.1" for the worker and the work), or "this": the kernel
    that runs here, or the recorded 6.18, whose label then says so, where that kernel cannot be asked.
    Errors: `ValueError` for a struct or kernel that is not known.
    """
    if kernel not in KERNELS:
        raise ValueError(f"no kernel {kernel!r}: there are {', '.join(KERNELS)}")
    recorded = _recorded()
    known = {version: set(structs) for version, structs in recorded.items()} | {"this": set(STRUCTS)}
    if name not in known[kernel]:
        raise ValueError(f"no struct {name!r} for kernel {kernel!r}: there are {', '.join(sorted(known[kernel]))}")
    if kernel == "this":
        found, why_not = _of_this_kernel()
        if found:
            return found[name]
        return _label(recorded["6.18"][name], f"Linux 6.18, recorded: {why_not}")
    return recorded[kernel][name]


def compare_structs(name: str, *kernels: str) -> str:
    """A table of ``struct NAME``: a row for each field any of the kernels has, a column for each kernel.

    A cell says offset and size in bytes, and the type where it differs from the newest kernel's.
    """
    layouts = [kernel_struct(name, kernel) for kernel in kernels or KERNELS[:-1]]
    newest = layouts[-1]
    names = list(dict.fromkeys(field.name for layout in reversed(layouts) for field in layout.fields))
    rows = [[f"struct {name}", *(layout.kernel for layout in layouts)]]
    for field in names:
        cells = [_cell(layout, newest, field) for layout in layouts]
        rows.append([(newest if field in newest else layouts[0])[field].declaration, *cells])
    rows.append(["size in bytes", *(str(layout.size) for layout in layouts)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    rule = "-" * max(map(len, lines))
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _cell(layout: Layout, newest: Layout, field: str) -> str:
    if field not in layout:
        return "-"
    here = layout[field]
    differs = field in newest and here.declaration != newest[field].declaration
    return f"@{here.offset} +{here.size}" + (f" {here.declaration.removesuffix(field).strip()}" if differs else "")


@cache
def _recorded() -> dict[str, dict[str, Layout]]:
    data: dict[str, dict[str, Any]] = json.loads(files("kwlab.host").joinpath("structs.json").read_text())
    asked = {
        version: {
            name: Layout(name, one["size"], tuple(Field(*field) for field in one["fields"]), f"Linux {version}")
            for name, one in structs.items()
        }
        for version, structs in data["asked"].items()
    }
    laid_out = {
        version: {name: lay_out(name, fields, f"Linux {version}") for name, fields in structs.items()}
        for version, structs in data["fields"].items()
    }
    return asked | laid_out


@cache
def _of_this_kernel() -> tuple[dict[str, Layout] | None, str]:
    """Its layouts, or the reason why there are none."""
    try:
        return Btf.of_this_kernel().layouts(STRUCTS), ""
    except OSError:
        return None, "this machine's kernel offers no BTF (/sys/kernel/btf/vmlinux)"
    except BtfError as error:
        return None, str(error)


def _label(layout: Layout, kernel: str) -> Layout:
    return Layout(layout.name, layout.size, layout.fields, kernel)
