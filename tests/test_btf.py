"""BTF: the running kernel's structs, the recorded ones, and files that are none."""

import os
import struct
from pathlib import Path

import pytest

from kwlab.host import structs
from kwlab.host.btf import VMLINUX, Btf, BtfError
from kwlab.host.layout import Field, Layout, lay_out
from kwlab.host.structs import KERNELS, STRUCTS, compare_structs, kernel_struct

needs_btf = pytest.mark.skipif(not VMLINUX.exists(), reason="this kernel offers no BTF")


def release() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(filter(str.isdigit, minor)) or 0)


@pytest.fixture(scope="module")
def running() -> dict[str, Layout]:
    return Btf.of_this_kernel().layouts(STRUCTS)


@needs_btf
def test_a_list_head_of_the_running_kernel_is_two_pointers(running: dict[str, Layout]) -> None:
    assert running["list_head"].fields == (
        Field("next", "struct list_head *next", 0, 8),
        Field("prev", "struct list_head *prev", 8, 8),
    )
    assert running["list_head"].size == 16


@needs_btf
@pytest.mark.skipif(release() != (6, 18), reason="the recording is of Linux 6.18; another kernel runs here")
@pytest.mark.parametrize("name", STRUCTS)
def test_the_recorded_structs_are_those_of_a_running_6_18(running: dict[str, Layout], name: str) -> None:
    recorded = kernel_struct(name)
    assert (running[name].size, running[name].fields) == (recorded.size, recorded.fields)


@needs_btf
def test_every_struct_of_the_running_kernel_can_be_decoded() -> None:
    btf = Btf.of_this_kernel()
    names = {btf._string(place) for place in btf._structs if place}
    layouts = btf.layouts(names)
    assert len(layouts) == len(names) > 1000
    task = layouts["task_struct"]
    assert task["comm"].declaration == "char comm[16]"
    assert task["comm"].size == 16
    # Nothing lies outside its struct, bit fields and trailing arrays without a length included.
    assert [one.name for one in layouts.values() for field in one.fields if field.offset > one.size] == []


@needs_btf
def test_a_struct_that_does_not_exist_is_named() -> None:
    with pytest.raises(BtfError, match=r"^Linux .* has no struct called kthread_boss, kthread_pool$"):
        Btf.of_this_kernel().layouts(["list_head", "kthread_boss", "kthread_pool"])


def small_btf(order: str = "<") -> bytes:
    """By hand: ``struct s { int (*f)(const char *, ...); unsigned n[3]; int a:3, b:5; s *const self; };``."""
    names = b"\0int\0char\0unsigned int\0s\0f\0n\0a\0b\0self\0far\0x\0"

    def at(name: str) -> int:
        return names.index(b"\0" + name.encode() + b"\0") + 1

    def head(name: str, kind: int, vlen: int, size: int, flag: int = 0) -> bytes:
        return struct.pack(f"{order}III", at(name) if name else 0, flag << 31 | kind << 24 | vlen, size)

    def words(*values: int) -> bytes:
        return struct.pack(f"{order}{len(values)}I", *values)

    types = b"".join(
        [
            head("int", 1, 0, 4) + words(0x01000020),  # 1
            head("char", 1, 0, 1) + words(8),  # 2
            head("", 10, 0, 2),  # 3 const char
            head("", 2, 0, 3),  # 4 pointer to it
            head("", 13, 2, 1) + words(0, 4, 0, 0),  # 5 int (const char *, ...)
            head("", 2, 0, 5),  # 6 pointer to it
            head("unsigned int", 1, 0, 4) + words(32),  # 7
            head("", 3, 0, 0) + words(7, 1, 3),  # 8 unsigned [3]
            head("s", 4, 5, 32, flag=1)
            + words(at("f"), 6, 0, at("n"), 8, 64, at("a"), 1, 3 << 24 | 160, at("b"), 1, 5 << 24 | 163)
            + words(at("self"), 11, 192),  # 9
            head("", 2, 0, 9),  # 10 pointer to s
            head("", 10, 0, 10),  # 11 const pointer
            head("", 6, 300, 4) + words(*[0] * 600),  # 12 enum of 300 values
            head("far", 4, 1, 1_000_004, flag=1) + words(at("x"), 1, 8_000_000),  # 13 struct far, x at 1,000,000
        ]
    )
    return struct.pack(f"{order}HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(names)) + types + names


@pytest.mark.parametrize("order", ["<", ">"])
def test_declarations_offsets_and_bit_fields(order: str) -> None:
    (layout,) = Btf(small_btf(order), "hand").layouts(["s"]).values()
    assert layout.size == 32
    assert layout.fields == (
        Field("f", "int (*f)(const char *, ...)", 0, 8),
        Field("n", "unsigned int n[3]", 8, 12),
        Field("a", "int a", 20, 4, 0, 3),
        Field("b", "int b", 20, 4, 3, 5),
        Field("self", "struct s *const self", 24, 8),
    )
    assert "int b : 5;" in str(layout)


def test_a_long_enum_and_a_far_field_are_read_right() -> None:
    (layout,) = Btf(small_btf(), "hand").layouts(["far"]).values()
    assert (layout.size, layout.fields) == (1_000_004, (Field("x", "int x", 1_000_000, 4),))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "0 bytes are no BTF", id="empty"),
        pytest.param(b"\x7fELF" + bytes(60), "no BTF: it starts with", id="another format"),
        pytest.param(small_btf()[:2] + b"\x07" + small_btf()[3:], "BTF version 7", id="another version"),
        pytest.param(small_btf()[:60], "ends in the middle of its tables", id="cut off"),
        pytest.param(
            small_btf()[:12] + struct.pack("<III", 20, 0, 0) + small_btf()[24:], "cut off near type 1", id="short table"
        ),
        pytest.param(small_btf()[:12] + struct.pack("<III", 14, 0, 0) + small_btf()[24:], "near type 1", id="shorter"),
    ],
)
def test_a_damaged_file_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(BtfError, match=message):
        Btf(data, "some file")


def test_a_type_that_contains_itself_is_refused() -> None:
    data = bytearray(small_btf())
    pointer_to_char = 24 + 16 + 16 + 8  # the `const` of type 3 now qualifies itself
    data[pointer_to_char : pointer_to_char + 4] = struct.pack("<I", 3)
    with pytest.raises(BtfError, match="struct s is damaged"):
        Btf(bytes(data), "some file").layouts(["s"])


# --------------------------------------------------------------------------------- what a layout says about itself


def test_a_layout_is_printed_with_its_holes_and_cache_lines() -> None:
    layout = lay_out("s", [("a", "int a", 4, 4), ("p", "void *p", 8, 8), ("x", "char x[56]", 56, 1)], "here")
    assert str(layout) == (
        "/* here */\n"
        "struct s {\n"
        "    int a;       /*     0     4 */\n"
        "    /* hole of 4 bytes */\n"
        "    void *p;     /*     8     8 */\n"
        "    char x[56];  /*    16    56 */\n"
        "    /* size: 72, cache lines: 2, fields: 3 */\n"
        "};"
    )
    assert list(layout.holes()) == [(4, 4)]


def test_a_field_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(KeyError, match="no field 'canceling'; it has node, func, worker"):
        kernel_struct("kthread_work", "3.19")["canceling"]


@pytest.mark.parametrize("name", ["kthread_worker", "kthread_work"])
def test_laying_out_gives_what_the_kernels_compiler_gave(name: str) -> None:
    recorded = kernel_struct(name)
    pointers = {"lock": 4, "flags": 4, "canceling": 4}
    fields = [(one.name, one.declaration, one.size, pointers.get(one.name, 8)) for one in recorded.fields]
    assert lay_out(name, fields, recorded.kernel) == recorded


@pytest.mark.parametrize(
    ("kernel", "worker", "work"),
    [
        ("3.19", ["lock", "work_list", "task", "current_work"], ["node", "func", "worker"]),
        ("4.9", ["flags", "lock", "work_list", "delayed_work_list", "task", "current_work"], None),
        ("6.1", ["flags", "lock", "work_list", "delayed_work_list", "task", "current_work"], None),
        ("6.18", ["flags", "lock", "work_list", "delayed_work_list", "task", "current_work"], None),
    ],
)
def test_the_fields_of_each_kernel(kernel: str, worker: list[str], work: list[str] | None) -> None:
    assert [field.name for field in kernel_struct("kthread_worker", kernel).fields] == worker
    names = [field.name for field in kernel_struct("kthread_work", kernel).fields]
    assert names == (work or ["node", "func", "worker", "canceling"])


def test_kernels_side_by_side() -> None:
    lines = compare_structs("kthread_worker", "3.19", "4.9", "6.18").splitlines()
    assert [line.split("  ")[0] for line in lines[2:8]] == [
        "unsigned int flags",
        "raw_spinlock_t lock",
        "struct list_head work_list",
        "struct list_head delayed_work_list",
        "struct task_struct *task",
        "struct kthread_work *current_work",
    ]
    assert lines[3].split() == [
        *("raw_spinlock_t", "lock", "@0", "+4", "spinlock_t", "@4", "+4", "spinlock_t", "@4", "+4")
    ]
    assert lines[-1].split() == ["size", "in", "bytes", "40", "56", "56"]


@pytest.mark.parametrize(
    ("name", "kernel", "message"),
    [
        ("kthread_worker", "2.6", "no kernel '2.6': there are 3.19, 4.9, 6.1, 6.18, this"),
        ("kthread", "3.19", "no struct 'kthread' for kernel '3.19': there are kthread_work, kthread_worker"),
        ("task_struct", "this", "no struct 'task_struct' for kernel 'this': there are completion,"),
    ],
)
def test_what_was_never_recorded_is_refused(name: str, kernel: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kernel_struct(name, kernel)


@pytest.mark.parametrize("content", [None, b"garbage" * 9])
def test_where_the_kernel_cannot_be_asked_the_recording_says_so(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "vmlinux"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setattr("kwlab.host.btf.VMLINUX", file)
    structs._of_this_kernel.cache_clear()
    layout = kernel_struct("kthread_worker", "this")
    structs._of_this_kernel.cache_clear()
    assert layout.kernel.startswith("Linux 6.18, recorded: ")
    assert ("offers no BTF" in layout.kernel) == (content is None)
    assert layout.fields == kernel_struct("kthread_worker", "6.18").fields


@needs_btf
def test_this_kernel_is_the_one_that_runs() -> None:
    assert kernel_struct("list_head", "this").kernel == f"Linux {os.uname().release}"
    assert KERNELS[-1] == "this"
