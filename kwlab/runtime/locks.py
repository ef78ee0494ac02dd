"""Spinlock and flag bits on real threads, under Python's global lock (GIL).

A lock of the operating system would be handed to a thread that still has to wait for the GIL, and every later acquire
would find it taken: a convoy, measured at thousands of context switches per 50,000 works. So this lock is a list with
one token in it: whoever pops the token holds the lock. It can only be taken by a thread that holds the GIL, nothing is
ever handed over, and both steps are single C calls. A thread that misses yields and tries again; after many misses it
sleeps between tries, because a real-time thread must not spin for ever on the CPU that the holder needs.
"""

import sys
import time
from _thread import get_ident
from types import FrameType
from typing import Any

from kwlab.errors import LockingError
from kwlab.runtime.base import Task, probes
from kwlab.runtime.registry import task_of_thread

__all__ = ["ThreadBits", "ThreadSpinLock"]

SPINS = 200
PAUSE = 0.0005  # seconds between tries after that
ABANDONED = 20_000  # tries until a lock that nobody owns counts as lost; the way from token to owner is two bytecodes


class ThreadSpinLock:
    """A spinlock with a known owner. ``with lock:`` takes and releases it; never sleep inside.

    `acquire` and `release` are the same two steps for the hottest paths: `with` costs as much again as the lock. While
    somebody traces, their traced versions stand in their place (see `Probes`).
    """

    __slots__ = ("_owner", "free", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.free = [None]  # the token: true while nobody holds the lock
        self._owner = 0

    def acquire(self) -> None:
        try:
            self.free.pop()
        except IndexError:
            self._spin()
        self._owner = get_ident()

    __enter__ = acquire

    def release(self) -> None:
        # The owner is cleared first: a signal between the two lines sees a lock without owner, not a foreign one.
        self._owner = 0
        self.free.append(None)

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self.release()

    def _spin(self) -> None:
        if self._owner == get_ident():
            self._refuse_recursion()
        if probes:
            for probe in probes:
                probe("lock_contended", self, {})
        tries = 0
        while True:
            time.sleep(0 if tries < SPINS else PAUSE)
            tries += 1
            try:
                self.free.pop()
                return
            except IndexError:
                # An owner gives it back. Only if nobody owns it for long, somebody was stopped on an edge of a section.
                if self._owner or tries < 2 * SPINS:
                    continue
            if self._is_on_its_edge():
                self._refuse_recursion()
            if tries >= ABANDONED:
                raise LockingError(
                    f"spinlock {self.name!r} was lost: an exception of a signal handler ended a section in the middle. "
                    "Ctrl-C does that if Python's own SIGINT handler stands in the place of kwlab's"
                )

    def _is_on_its_edge(self) -> bool:
        # This very thread may have been interrupted between taking the token and storing the owner, or on the way
        # back; only the stack tells. (It may have waited there, too: then the true holder shows soon.)
        frame: FrameType | None = sys._getframe(3)  # above this function, _spin and the acquire that called it
        while frame is not None:
            if frame.f_code in _SECTION_EDGES and frame.f_locals.get("self") is self:
                return True
            frame = frame.f_back
        return False

    def _refuse_recursion(self) -> None:
        raise LockingError(
            f"spinlock {self.name!r} is held by this thread already: it was interrupted while holding it "
            "(a signal handler, __del__, or a nested section) and must not take it again"
        )

    def assert_held(self) -> None:
        if self._owner != get_ident():
            holder = self.holder
            raise LockingError(
                f"spinlock {self.name!r} must be held here; "
                + (f"task {holder.name!r} holds it" if holder else "nobody holds it")
            )

    @property
    def holder(self) -> Task | None:
        return task_of_thread(self._owner)

    def __repr__(self) -> str:
        holder = self.holder
        return f"<spinlock {self.name} {'held by ' + holder.name if holder else 'free'}>"


_acquire, _release = ThreadSpinLock.acquire, ThreadSpinLock.release
_SECTION_EDGES = {_acquire.__code__, _release.__code__}


def _acquire_traced(lock: ThreadSpinLock) -> None:
    _acquire(lock)
    for probe in probes:
        probe("lock_acquire", lock, {})


def _release_traced(lock: ThreadSpinLock) -> None:
    for probe in probes:
        probe("lock_release", lock, {})
    _release(lock)


def _switch(traced: bool) -> None:
    cls: Any = ThreadSpinLock
    cls.acquire = cls.__enter__ = _acquire_traced if traced else _acquire
    cls.release = _release_traced if traced else _release


probes.switches.append(_switch)


class ThreadBits(list[bool]):
    """A word of flag bits. Each bit has a place of its own, so that no store can undo another."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__([False] * 8)

    test_bit = list.__getitem__

    def set_bit(self, bit: int) -> None:
        self[bit] = True

    def clear_bit(self, bit: int) -> None:
        self[bit] = False
