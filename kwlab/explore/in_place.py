"""What is swapped in modules and classes, for all threads, while somebody needs it there."""

import threading
from collections.abc import Callable

__all__ = ["InPlace", "Undo"]

Undo = list[Callable[[], None]]


class InPlace:
    """A block: who comes first puts something in place, and who leaves last takes it back.

    ``install(undo)`` does the first, and appends to `undo` what takes each piece back; the last piece goes first.
    """

    def __init__(self, install: Callable[[Undo], None]) -> None:
        self._install = install
        self._lock = threading.Lock()
        self._inside = 0
        self._undo: Undo = []

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._install(self._undo)

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                while self._undo:
                    self._undo.pop()()
