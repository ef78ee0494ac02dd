"""The bug museum: what went wrong in kthread_worker's history, and what still does, each with its interleaving."""

from kwlab.museum.exhibit import Exhibit
from kwlab.museum.history import HISTORY
from kwlab.museum.traps import TRAPS
from kwlab.museum.variant import Edit, make_variant

__all__ = ["EXHIBITS", "TEXTS", "Edit", "Exhibit", "exhibit", "make_variant"]

EXHIBITS = HISTORY + TRAPS

# What no scenario of ours can show: told only.
TEXTS = {
    "B12": "kthread_create_worker_on_cpu (December 2024, before 6.14): the result was tested with `if (worker)`, not "
    "`!IS_ERR(worker)`, so an error pointer would have been bound to a CPU. Python raises instead of returning one.",
    "T10": "cancel's False does not mean that it did nothing: it may have waited for a running instance, or, for a "
    "delayed work, have kept a timer callback in flight from queueing it.",
}


def exhibit(name: str) -> Exhibit:
    """The exhibit called `name`; `KeyError` lists the names there are."""
    for candidate in EXHIBITS:
        if candidate.name == name:
            return candidate
    raise KeyError(f"no exhibit {name!r}: there are {', '.join(e.name for e in EXHIBITS)}")
