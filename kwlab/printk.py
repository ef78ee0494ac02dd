"""`pr_info` in a work, `dmesg` in the notebook.

A worker thread must not print: its output would land in whatever cell happens to be the latest. It records, and the
caller prints. Mirrors include/linux/printk.h.
"""

from kwlab.sched import current

__all__ = ["dmesg", "dmesg_lines", "pr_info"]


def pr_info(text: str, *args: object) -> None:
    """Add a line, printf-style, to the kernel log of the current runtime."""
    current().runtime.printk((text % args if args else text).rstrip("\n"))


def dmesg_lines(clear: bool = False) -> list[str]:
    """The lines of the kernel log, oldest first."""
    log = current().runtime.log
    lines = list(log.lines)
    if clear:
        log.lines.clear()
    return lines


def dmesg(clear: bool = False) -> None:
    """Print the kernel log. With `clear`, empty it afterwards."""
    for line in dmesg_lines(clear):
        print(line)
