"""How far a long search is, shown while it runs: in a terminal on one line, in a notebook below the cell.

Nothing is shown in the first second, and nothing is left behind, so that stored notebooks and logs stay as they are.
``KWLAB_PROGRESS=off`` in the environment shows nothing at all.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

from kwlab.explore.engine import Search
from kwlab.explore.strategy import Strategy

__all__ = ["Display", "Progress", "display_here", "words"]

SILENT = 1.0  # seconds until something is shown
EVERY = 0.25  # seconds between two updates


class Display(Protocol):
    """A line that can be changed and taken away."""

    def show(self, text: str) -> None: ...
    def close(self) -> None: ...


class Progress:
    """Call `update` behind every execution, `close` in the end. `make` is called when there is something to show."""

    def __init__(self, make: "Callable[[], Display | None] | None" = None) -> None:
        self._make = make or display_here
        self._display: Display | None = None
        self._next = time.perf_counter() + SILENT
        self._started = False

    def update(self, found: Search, strategy: Strategy) -> None:
        """The search has come this far."""
        now = time.perf_counter()
        if now < self._next:
            return
        self._next = now + EVERY
        if not self._started:
            self._started = True
            self._display = self._make()
        if self._display is not None:
            self._display.show(words(found, strategy))

    def close(self) -> None:
        """The search is over: take the line away."""
        if self._display is not None:
            self._display.close()
            self._display = None


def words(found: Search, strategy: Strategy) -> str:
    """What there is to say of a search under way."""
    parts = [f"{found.executions:,} executions", f"{found.steps:,} steps"]
    if strategy.states:
        parts.append(f"{strategy.states:,} states")
    frontier = getattr(strategy, "frontier", None)
    if frontier is not None:
        parts.append(f"{frontier:,} branches known and not yet tried")
    return f"searching: {', '.join(parts)}, {found.seconds:.0f} s (Ctrl-C ends it with what it has found)"


def display_here() -> Display | None:
    """The display that suits this process; None if there is nobody to look at it."""
    if os.environ.get("KWLAB_PROGRESS", "").lower() in ("off", "0", "no"):
        return None
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None and getattr(shell, "kernel", None) is not None:
        return _Notebook()
    return _Terminal() if sys.stderr.isatty() else None


class _Terminal:
    """A line on stderr. It is redrawn by whoever searches: no thread takes time from the search."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)
        self._live.start()

    def show(self, text: str) -> None:
        self._live.update(text, refresh=True)

    def close(self) -> None:
        self._live.stop()


class _Notebook:
    """An output of the cell that is changed in place, and is empty in the end."""

    def __init__(self) -> None:
        from IPython.display import display

        make: Any = display
        self._handle = make({"text/plain": ""}, raw=True, display_id=True)

    def show(self, text: str) -> None:
        self._handle.update({"text/plain": text}, raw=True)

    def close(self) -> None:
        self._handle.update({"text/plain": ""}, raw=True)
