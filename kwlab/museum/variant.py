"""An old or wrong worker: today's source with a few lines changed.

A variant is no fork of `kwlab/worker.py`. It is the source as it stands, with each `Edit` applied at the one place
that reads exactly so; when the source moves on, an edit that no longer fits says so instead of changing nothing.
"""

import inspect
import linecache
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import kwlab.worker

__all__ = ["Edit", "make_variant"]


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `now`, which must stand exactly once in the source, by `then`."""

    now: str
    then: str


_made: dict[tuple[str, tuple[Edit, ...]], ModuleType] = {}


def make_variant(name: str, edits: tuple[Edit, ...], module: ModuleType = kwlab.worker) -> ModuleType:
    """`module` with `edits` applied, as a module of its own. Errors: `ValueError` if an edit does not fit."""
    key = (module.__name__, edits)
    if key in _made:
        return _made[key]
    source = inspect.getsource(module)
    for edit in edits:
        found = source.count(edit.now)
        if found != 1:
            raise ValueError(
                f"variant {name!r}: this text stands {found} times in {module.__name__}, not once:\n{edit.now}"
            )
        source = source.replace(edit.now, edit.then)
    file = f"{module.__name__.rsplit('.', 1)[-1]}.py[{name}]"
    variant: Any = ModuleType(f"{module.__name__}[{name}]", module.__doc__)
    variant.__file__ = file
    # Tracebacks and the explorer's reports show the changed lines.
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec"), variant.__dict__)
    # Annotations are resolved in the module of their class: kfree() looks for embedded structs in them.
    sys.modules[variant.__name__] = variant
    _made[key] = variant
    result: ModuleType = variant
    return result
