"""`pr_info` in a work, `dmesg` in the notebook.

A worker thread must not print: its output would land in whatever cell happens to be the latest. It records, and the
caller prints. Mirrors include/linux/printk.h.
"""

import builtins
import sys
import threading
from functools import wraps
from typing import Any

from kwlab.runtime.base import local
from kwlab.sched import current

__all__ = ["dmesg", "dmesg_lines", "pr_info"]


def pr_info(text: str, *args: object) -> None:
    """Add a line, printf-style, to the kernel log of the current runtime."""
    current().runtime.printk((text % args if args else text).rstrip("\n"))


def dmesg_lines(clear: bool = False) -> list[str]:
    """The lines of the kernel log, oldest first."""
    lines: list[str] = current().runtime.log.read(clear)
    return lines


def dmesg(clear: bool = False) -> None:
    """Print the kernel log. With `clear`, empty it afterwards."""
    for line in dmesg_lines(clear):
        print(line)


def catch_print_in_works() -> None:
    """In a notebook, make a bare ``print`` in a worker's thread an oops that says what to do instead."""
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None or hasattr(builtins.print, "__wrapped__"):
        return
    plain = builtins.print

    @wraps(plain)
    def checked(*values: object, **how: Any) -> None:
        task = getattr(local, "task", None)
        # In the main thread works run only under the model, where the text lands in the right cell.
        in_a_work = getattr(task, "kthread", None) and threading.current_thread() is not threading.main_thread()
        if in_a_work and how.get("file") in (None, sys.stdout, sys.stderr):
            raise RuntimeError(
                "print() in a work lands in whatever cell ran last: use pr_info() in the work, dmesg() in the notebook"
            )
        plain(*values, **how)

    builtins.print = checked
