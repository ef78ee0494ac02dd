"""What the guest boots: the module, built for its kernel, and an initramfs with busybox, a script and the programs."""

import gzip
import shutil
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from kwlab.oracle.packages import KernelTree, run

__all__ = ["build_module", "initramfs"]

MODULE = "kwlab_oracle"
FILE, FOLDER, EXECUTABLE = 0o100644, 0o040755, 0o100755

# Every scenario is sent home as soon as it is over, so that a crash takes only its own with it.
INIT = r"""#!/bin/busybox sh
/bin/busybox --install -s /bin
mkdir -p /proc /sys /tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t debugfs debug /sys/kernel/debug
mount -t tracefs trace /sys/kernel/tracing
stty -F /dev/ttyS1 raw
T=/sys/kernel/tracing
for event in queue_work execute_start execute_end; do echo 1 > $T/events/sched/sched_kthread_work_$event/enable; done
echo 0 > $T/options/hash-ptr 2> /dev/null
insmod /kwlab_oracle.ko || echo "=== module failed" > /dev/ttyS1
section() { echo "=== $1 $2" > /dev/ttyS1; cat > /dev/ttyS1; }
for file in /programs/*; do
  name=${file##*/}
  echo "kwlab: scenario $name" > /dev/console
  echo 1 > /sys/kernel/debug/clear_warn_once
  dmesg -c > /dev/null
  echo > $T/trace
  echo 1 > $T/tracing_on
  cat $file > /proc/kwlab_oracle/program
  echo run > /proc/kwlab_oracle/control
  echo 0 > $T/tracing_on
  section $name results < /proc/kwlab_oracle/results
  section $name log < /dev/null
  dmesg > /dev/ttyS1
  section $name trace < $T/trace
  grep ^THREAD /proc/kwlab_oracle/results | while read kind worker pid; do
    if [ -d /proc/$pid ]; then
      section $name thread:$worker < /dev/null
      for what in comm stack wchan status sched stat; do
        echo "== /proc/$worker/$what"; cat /proc/$pid/$what; [ $what = wchan ] && echo
      done > /dev/ttyS1
    fi
  done
  echo cleanup > /proc/kwlab_oracle/control
  section $name done < /dev/null
done
echo "=== all over" > /dev/ttyS1
sync
poweroff -f
"""


def build_module(tree: KernelTree) -> Path:
    """The module for that kernel; built again only when its source has changed. Errors: `OracleError`."""
    built = tree.folder / f"{MODULE}.ko"
    source = files("kwlab.oracle").joinpath("module", f"{MODULE}.c").read_bytes()
    kept = tree.folder / f"{MODULE}.c"
    if built.exists() and kept.exists() and kept.read_bytes() == source:
        return built
    with tempfile.TemporaryDirectory(prefix="kwlab-oracle-") as folder:
        place = Path(folder)
        (place / f"{MODULE}.c").write_bytes(source)
        (place / "Makefile").write_text(f"obj-m := {MODULE}.o\n")
        # Without BTF of its own, which would take pahole to make and nobody reads.
        run(["make", "-C", str(tree.headers), f"M={place}", "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"])
        shutil.copy(place / f"{MODULE}.ko", built)
    kept.write_bytes(source)
    return built


def initramfs(tree: KernelTree, programs: Mapping[str, str]) -> bytes:
    """The root file system of the guest. `programs` are played in the order of their names."""
    entries = [(folder, FOLDER, b"") for folder in ("bin", "dev", "programs")]
    entries += [
        ("bin/busybox", EXECUTABLE, tree.busybox.read_bytes()),
        (f"{MODULE}.ko", FILE, build_module(tree).read_bytes()),
        ("init", EXECUTABLE, INIT.encode()),
        *((f"programs/{name}", FILE, text.encode()) for name, text in programs.items()),
    ]
    archive = b"".join(_entry(number, *entry) for number, entry in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1))
    return gzip.compress(archive, 1)


def _entry(number: int, name: str, mode: int, data: bytes) -> bytes:
    """One file of a cpio archive, format newc (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    path = name.encode() + b"\0"
    links = 1
    numbers = (number, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + "".join(f"{value:08X}" for value in numbers).encode() + path
    return _padded(head) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
