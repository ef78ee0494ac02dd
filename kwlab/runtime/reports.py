"""Where trouble is written down: WARNs and oopses until they may be issued, and the kernel log.

A warning must never leave a function half done and a worker thread must never print, so a WARN is *noted* where it
happens and *issued* by whoever ends the API call. What happens in a thread that has no caller is *kept* (on the
worker, see `Task.kept`) until somebody flushes or destroys it.
"""

import warnings
from collections import deque
from typing import Any

from kwlab.errors import KernelWarning
from kwlab.runtime.base import local

__all__ = ["KernelLog", "issue_kept", "issue_kept_on", "issue_warnings", "keep_warnings", "note", "noted"]

# (task, message) of WARNs whose API call is not over yet. API functions end with `if noted: issue_warnings()`.
noted: list[tuple[Any, str]] = []


def note(task: Any, message: str) -> None:
    """Write a WARN down; the API call that the task is in issues it at its end."""
    noted.append((task, message))


def _keeper() -> list[str] | None:
    # A foreign thread may get here before its first look-up of `current` made a task of it; it has noted nothing.
    kept: list[str] | None = getattr(getattr(local, "task", None), "kept", None)
    return kept


def _take_noted() -> list[str]:
    task = getattr(local, "task", None)
    mine = [entry for entry in list(noted) if entry[0] is task]
    for entry in mine:
        # One by one, never the whole list anew: other threads add theirs meanwhile.
        noted.remove(entry)
    return [message for _, message in mine]


def issue_warnings() -> None:
    """Issue what the current task noted; in a thread without a caller it is kept instead."""
    messages = _take_noted()
    kept = _keeper()
    if kept is not None:
        kept.extend(messages)
    else:
        issue_kept(messages)


def keep_warnings(kept: list[str]) -> None:
    """Move what the current task noted to `kept`."""
    kept.extend(_take_noted())


def issue_kept(messages: list[str]) -> None:
    """Issue and drop `messages`, first to last. If a filter makes an error of one, the later ones stay kept."""
    while messages:
        # No file of ours or of the caller stands for what happened inside the kernel: one line, no path.
        warnings.warn_explicit(messages.pop(0), KernelWarning, "<kwlab>", 0)


def issue_kept_on(kept: list[str]) -> None:
    """The end of a flush or destroy: issue what the worker kept, and what the caller's own task noted.

    In a thread that has no caller nothing is issued: its notes go to its own keeper, and `kept` stays.
    """
    if noted:
        issue_warnings()
    if kept and _keeper() is None:
        issue_kept(kept)


class KernelLog:
    """The ring buffer behind `pr_info` and `dmesg`: the last 10,000 lines."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=10_000)

    def append(self, line: str) -> None:
        self.lines.append(line)

    def read(self, clear: bool = False) -> list[str]:
        """The lines, oldest first; with `clear` they are gone afterwards."""
        lines = list(self.lines)
        if clear:
            self.lines.clear()
        return lines
