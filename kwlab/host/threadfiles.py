"""The files in /proc that tell about one thread, as objects: `status`, `sched`, `stack`, `wchan`, `stat`.

They come from a folder (``/proc/17``, ``/proc/self/task/18``) or from a recording of such a folder. What may not be
read says what it needs. Mirrors fs/proc/array.c, fs/proc/base.c and kernel/sched/debug.c, Linux 6.18.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from kwlab.runtime.linux import parse_cpus

__all__ = ["POLICIES", "Frame", "Sched", "Stat", "Status", "ThreadFiles", "recorded_thread", "recorded_threads"]

POLICIES = {0: "SCHED_OTHER", 1: "SCHED_FIFO", 2: "SCHED_RR", 3: "SCHED_BATCH", 5: "SCHED_IDLE", 6: "SCHED_DEADLINE"}
PF_KTHREAD = 0x0020_0000
PF_NO_SETAFFINITY = 0x0400_0000

NEEDS = {"stack": "root (CAP_SYS_ADMIN)", "wchan": "root (ptrace access to the thread)"}
RECORDINGS = "recorded"
_FRAME = re.compile(r"\[<\w+>\] (?P<function>[^+\s]+)(?:\+0x(?P<offset>[0-9a-f]+)/0x(?P<size>[0-9a-f]+))?(?P<rest>.*)")
_SECTION = re.compile(r"^== /proc/\S+/(\w+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Status:
    """What `status` says, the lines that matter for a worker; `lines` has all of them by name."""

    name: str
    state: str  # "S (sleeping)"
    cpus: tuple[int, ...]
    sleeps: int  # voluntary context switches: how often it gave the CPU away
    preempted: int  # how often the CPU was taken from it
    lines: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Stat:
    """What `stat` says: the numbers that anybody may read."""

    name: str
    state: str  # one letter
    flags: int  # PF_*
    nice: int
    rt_priority: int  # 1 to 99 for SCHED_FIFO and SCHED_RR, else 0
    policy: str
    cpu: int  # where it ran last

    @property
    def is_kthread(self) -> bool:
        return bool(self.flags & PF_KTHREAD)

    @property
    def is_bound(self) -> bool:
        """Bound by kthread_bind(): taskset gets EINVAL."""
        return bool(self.flags & PF_NO_SETAFFINITY)


@dataclass(frozen=True, slots=True)
class Sched:
    """What `sched` says: `values` by the kernel's names ("se.sum_exec_runtime", in ms; "nr_switches"; "prio")."""

    name: str  # 15 characters at most, other than in `comm`
    values: Mapping[str, float]

    @property
    def runtime(self) -> float:
        """Milliseconds on a CPU."""
        return self.values["se.sum_exec_runtime"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One function on a kernel stack, with the offset in it and its size in bytes, and the module's name."""

    function: str
    offset: int
    size: int
    module: str = ""

    def __str__(self) -> str:
        return self.function + (f" [{self.module}]" if self.module else "")


class ThreadFiles:
    """One thread's files. `source` is the folder, or the texts of a recording by name; `label` names it in errors."""

    def __init__(self, source: Path | Mapping[str, str], label: str = "") -> None:
        self.source = source
        self.label = label or str(source)

    def read(self, name: str) -> str:
        """The text of one file. Errors: `ProcessLookupError` (it ended), `PermissionError`, which says what is needed,
        `FileNotFoundError` (this kernel or recording has none)."""
        if isinstance(self.source, Mapping):
            if name not in self.source:
                raise FileNotFoundError(f"{self.label}: {name} was not recorded")
            return self.source[name]
        try:
            return (self.source / name).read_text(encoding="utf-8", errors="replace")
        except PermissionError:
            needs = NEEDS.get(name, "root")
            raise PermissionError(f"{self.label}/{name} may not be read: it needs {needs}") from None
        except (FileNotFoundError, ProcessLookupError) as error:
            if self.source.is_dir():
                raise FileNotFoundError(f"{self.label}: this kernel has no {name}") from error
            raise ProcessLookupError(f"{self.label}: the thread has ended") from None

    @property
    def comm(self) -> str:
        """The name; for a kthread the full one (since 5.17)."""
        return self.read("comm").rstrip("\n")

    @property
    def wchan(self) -> str:
        """The kernel function it sleeps in; "" if it runs. `PermissionError` where the kernel will not tell."""
        said = self.read("wchan").strip()
        if said == "0" and self.status.state[0] in "SDI":
            raise PermissionError(f"{self.label}/wchan says 0 of a thread that sleeps: it needs {NEEDS['wchan']}")
        return "" if said == "0" else said

    @property
    def stack(self) -> tuple[Frame, ...]:
        """Its kernel stack, the innermost function first."""
        frames = []
        for line in self.read("stack").splitlines():
            if found := _FRAME.match(line):
                offset, size = (int(found[key] or "0", 16) for key in ("offset", "size"))
                frames.append(Frame(found["function"], offset, size, found["rest"].strip(" []")))
        return tuple(frames)

    @property
    def status(self) -> Status:
        said = dict(line.split(":", 1) for line in self.read("status").splitlines() if ":" in line)
        lines = {key: value.strip() for key, value in said.items()}
        return Status(
            lines["Name"],
            lines["State"],
            tuple(sorted(parse_cpus(lines["Cpus_allowed_list"]))),
            int(lines["voluntary_ctxt_switches"]),
            int(lines["nonvoluntary_ctxt_switches"]),
            lines,
        )

    @property
    def stat(self) -> Stat:
        text = self.read("stat")
        # The name stands in brackets and may itself hold brackets and blanks: count from the last one.
        name = text[text.index("(") + 1 : text.rindex(")")]
        fields = text[text.rindex(")") + 2 :].split()  # the first is field 3 of proc(5)
        policy = int(fields[41 - 3])
        return Stat(
            name,
            fields[0],
            int(fields[9 - 3]),
            int(fields[19 - 3]),
            int(fields[40 - 3]),
            POLICIES.get(policy, f"policy {policy}"),
            int(fields[39 - 3]),
        )

    @property
    def sched(self) -> Sched:
        head, _, rest = self.read("sched").partition("\n")
        values = {}
        for line in rest.splitlines():
            key, colon, value = line.partition(":")
            if colon:
                try:
                    values[key.strip()] = float(value)
                except ValueError:
                    continue
        return Sched(head.rpartition(" (")[0], values)


def recorded_threads() -> tuple[str, ...]:
    """The names of the recorded threads: workers of a Linux 6.1, made in different ways, and one that is stuck."""
    folder = files("kwlab.host").joinpath(RECORDINGS)
    return tuple(sorted(path.name.removesuffix(".txt") for path in folder.iterdir() if path.name.endswith(".txt")))


def recorded_thread(name: str) -> ThreadFiles:
    """The files of a recorded thread. Errors: `ValueError` with the names there are."""
    if name not in recorded_threads():
        raise ValueError(f"no recorded thread {name!r}: there are {', '.join(recorded_threads())}")
    parts = _SECTION.split(files("kwlab.host").joinpath(RECORDINGS, f"{name}.txt").read_text(encoding="utf-8"))
    texts = {key: text.lstrip("\n") for key, text in zip(parts[1::2], parts[2::2], strict=True)}
    return ThreadFiles(texts, f"{name}, recorded on Linux 6.1.192")
