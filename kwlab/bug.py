"""WARN_ON, and when a warning is heard.

A kernel WARN prints and goes on. A Python warning may be turned into an error by a filter, and then whatever it leaves
is half done: a lock held, a work on no list. So a WARN is only *noted* where it happens; the API function that the
task is in *issues* it as a `KernelWarning` at its end, when everything is in order and every lock is free:

    if noted:
        issue_warnings()

A worker's or timer's thread has nobody to warn. There the worker *keeps* the warning for whoever flushes or destroys
it next (`keep_warnings`, `issue_kept_on`). The notes themselves lie with the runtimes, in `kwlab.runtime.reports`.

Mirrors include/asm-generic/bug.h, Linux 6.18.
"""

from kwlab.runtime.reports import issue_kept, issue_kept_on, issue_warnings, keep_warnings, noted
from kwlab.sched import current

__all__ = ["WARN_ON", "issue_kept", "issue_kept_on", "issue_warnings", "keep_warnings", "noted"]


def WARN_ON(condition: object, message: str) -> bool:
    """Note that something happened that must not; returns the condition as a bool, and goes on."""
    if condition:
        current().runtime.warn(message)
    return bool(condition)
