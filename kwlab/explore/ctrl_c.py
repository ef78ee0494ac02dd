"""Ctrl-C during an exploration: the first one waits until the execution under way is over, and nothing is left half
done; a search then ends and keeps the verdict so far.

A second one does not wait for that: it interrupts the scenario's own code, wherever it is.
"""

import signal
import threading
import time
from _thread import LockType, allocate_lock, start_new_thread
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from kwlab.runtime import interrupts
from kwlab.runtime.base import local
from kwlab.runtime.model_objects import ModelTask

__all__ = ["CtrlC", "ctrl_c"]

RETRY = 0.001  # seconds until a Ctrl-C that came at the wrong place is delivered again
LATE = 1.0  # seconds after which it was not (a fork has no threads)


class CtrlC:
    """`pressed` is true from the first Ctrl-C on."""

    def __init__(self) -> None:
        self.pressed = False
        self._over = False
        self._retries: list[LockType] = []

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """The signal handler."""
        if not self.pressed or self._over:
            self.pressed = True
        elif _in_the_scenario(frame):
            raise KeyboardInterrupt
        else:
            # The engine's own lines must not be left half done; the scenario's next line will do. (The start of a
            # `threading.Thread` waits, and would be interrupted itself.)
            delivered = allocate_lock()
            delivered.acquire()
            self._retries.append(delivered)
            start_new_thread(_again, (delivered,))

    def close(self) -> None:
        """From now on nothing is delivered: what still waits for the scenario's next line has come too late."""
        self._over = True
        for delivered in self._retries:
            delivered.acquire(timeout=LATE)

    def deliver(self) -> None:
        """Raise the KeyboardInterrupt that waited, if there is one."""
        if self.pressed:
            raise KeyboardInterrupt


def _in_the_scenario(frame: FrameType | None) -> bool:
    task = getattr(local, "task", None)
    if frame is None or not isinstance(task, ModelTask) or task.runtime.running is not task:
        return False
    return not frame.f_globals.get("__name__", "").startswith(("kwlab.", "greenlet"))


def _again(delivered: LockType) -> None:
    time.sleep(RETRY)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    delivered.release()


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
                pressed.close()
                _active.clear()
                signal.signal(signal.SIGINT, before)
