"""Ctrl-C during a search: the first one ends it behind the execution under way, so that the verdict so far is kept.

A second one does not wait for that: it interrupts the scenario's own code, wherever it is.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from kwlab.runtime import interrupts

__all__ = ["CtrlC", "ctrl_c"]

RETRY = 0.001  # seconds until a Ctrl-C that came at the wrong place is delivered again


class CtrlC:
    """`pressed` is true from the first Ctrl-C on."""

    def __init__(self) -> None:
        self.pressed = False

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """The signal handler."""
        if not self.pressed:
            self.pressed = True
        elif frame is not None and frame.f_globals.get("__name__", "").startswith(("kwlab.", "greenlet")):
            # The engine's own lines must not be left half done; the scenario's next line will do.
            threading.Thread(target=_again, name="kwlab-sigint", daemon=True).start()
        else:
            raise KeyboardInterrupt


def _again() -> None:
    time.sleep(RETRY)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


_active: list[CtrlC] = []


@contextmanager
def ctrl_c() -> Iterator[CtrlC]:
    """Take Ctrl-C while the block runs. Blocks within it share one `CtrlC`.

    Outside the main thread, and where the program has a handler of its own, nothing is taken.
    """
    if threading.current_thread() is not threading.main_thread():
        yield CtrlC()
    elif _active:
        yield _active[0]
    else:
        before = signal.getsignal(signal.SIGINT)
        mine = before is signal.default_int_handler or before is interrupts.handler
        pressed = CtrlC()
        if mine:
            signal.signal(signal.SIGINT, pressed.handle)
            _active.append(pressed)
        try:
            yield pressed
        finally:
            if mine:
                _active.clear()
                signal.signal(signal.SIGINT, before)
