"""Booting the guest, with a time limit, and taking apart what it sent home."""

import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kwlab.oracle.guest import initramfs
from kwlab.oracle.packages import KernelTree

__all__ = ["Boot", "boot"]

QEMU = (
    "qemu-system-x86_64", "-accel", "tcg", "-smp", "2", "-m", "512", "-display", "none", "-monitor", "none",
    "-nodefaults", "-no-reboot",
)  # fmt: skip
COMMAND_LINE = (
    "console=ttyS0 loglevel=4 log_buf_len=4M slub_debug=FZP no_hash_pointers panic=-1 oops=panic "
    # A CPU that spins for ever on a lock in freed memory is noticed by the other one.
    "rcupdate.rcu_cpu_stall_timeout=15 sysctl.kernel.panic_on_rcu_stall=1"
)
SILENCE = 60.0  # seconds without a word from a guest that has begun to play
POLL = 0.1  # seconds
_SECTION = re.compile(r"^=== (\S+) (\S+)\n", re.MULTILINE)
_DEATH = re.compile(
    r"^.*(?:kernel BUG at|Kernel panic|BUG: |Oops: |general protection fault|detected stall).*$", re.MULTILINE
)


@dataclass
class Boot:
    """One boot: the sections of every scenario by its name, and how it ended.

    `current` is the scenario that was being played when the guest stopped ("" if it came to its end), `death` the
    kernel's first line about its end, `timed_out` whether it was ended by us.
    """

    sections: dict[str, dict[str, str]] = field(default_factory=dict)
    current: str = ""
    death: str = ""
    timed_out: bool = False
    console: str = ""


def boot(
    tree: KernelTree, programs: Mapping[str, str], limit: float, progress: Callable[[str], None] = lambda name: None
) -> Boot:
    """Play `programs` in one boot that is ended after `limit` seconds. `progress` gets the names as they begin."""
    with tempfile.TemporaryDirectory(prefix="kwlab-oracle-") as folder:
        place = Path(folder)
        console, sent = place / "console", place / "sent"
        (place / "initrd").write_bytes(initramfs(tree, programs))
        command = [*QEMU, "-kernel", str(tree.image), "-initrd", str(place / "initrd"), "-append", COMMAND_LINE]
        command += ["-serial", f"file:{console}", "-serial", f"file:{sent}"]
        timed_out = _run(command, console, limit, progress)
        text = console.read_text(errors="replace") if console.exists() else ""
        return _taken_apart(text, sent.read_text(errors="replace") if sent.exists() else "", timed_out)


def _run(command: list[str], console: Path, limit: float, progress: Callable[[str], None]) -> bool:
    """Run QEMU to its end, to the limit, or until it has been silent for too long; True if we ended it.

    It may ignore SIGTERM.
    """
    waited, heard, told = 0.0, 0.0, 0
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            while waited < limit and waited - heard < SILENCE:
                try:
                    process.wait(POLL)
                    return False
                except subprocess.TimeoutExpired:
                    waited += POLL
                names = _begun(console)
                for name in names[told:]:
                    progress(name)
                heard = waited if len(names) > told or not names else heard
                told = len(names)
            return True
        finally:
            process.kill()


def _begun(console: Path) -> list[str]:
    text = console.read_text(errors="replace") if console.exists() else ""
    return re.findall(r"^kwlab: scenario (\S+)\r?$", text, re.MULTILINE)


def _taken_apart(console: str, sent: str, timed_out: bool) -> Boot:
    console = console.replace("\r", "")
    found = Boot(timed_out=timed_out, console=console)
    parts = _SECTION.split(sent)
    for name, what, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        found.sections.setdefault(name, {})[what] = text
    begun = re.findall(r"^kwlab: scenario (\S+)$", console, re.MULTILINE)
    unfinished = [name for name in begun if "done" not in found.sections.get(name, {})]
    found.current = unfinished[-1] if unfinished else ""
    death = _DEATH.search(console)
    found.death = death[0].strip() if death else ""
    return found
