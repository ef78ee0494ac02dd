"""What carries the tasks of a model: greenlets, or OS threads that pass a baton.

Only one carrier runs at a time and control goes straight from task to task. Both kinds are pooled, because making one
costs many times a hand-over. Greenlets are the fast kind; the baton exists so that the same engine can be compared
with plain threads.
"""

import sys
import threading
from _thread import allocate_lock
from types import FrameType
from typing import Any, Protocol

from greenlet import getcurrent, greenlet

from kwlab.runtime.base import local

__all__ = ["Abandon", "Batons", "Carriers", "Greenlets"]

GLANCE = 0.01  # seconds between two looks of a hub that was interrupted


class Abandon(BaseException):
    """Unwinds the tasks of an execution that is over."""


class Carriers(Protocol):
    """Where the tasks of one execution at a time run. Whoever calls `run` is the hub."""

    def run(self, task: Any) -> None:
        """From the hub: start `task`; returns when some task hands over to the hub."""

    def hand_over(self, me: Any, following: Any) -> None:
        """From task `me`: go on with task `following` (None: the hub); returns when `me` is chosen again."""

    def current(self) -> Any:
        """The carrier that this code runs on, for comparison with a task's `carrier`."""

    def abandon(self, task: Any) -> None:
        """From the hub: unwind a suspended task. One that catches even this is left where it is, for good."""

    def frame(self, task: Any) -> FrameType | None:
        """The innermost frame of a suspended task."""


class Greenlets:
    """Carriers within one OS thread."""

    current = staticmethod(getcurrent)

    def __init__(self) -> None:
        # Where `local` keeps the attributes of this thread: every hand-over stores one, and straight is faster.
        self._local = local.__dict__
        self._idle: list[Any] = []
        self._left: list[Any] = []
        self._hub: Any = None

    def run(self, task: Any) -> None:
        self._hub = getcurrent()
        try:
            self._start(task)
        except BaseException:
            # A signal's handler raised in here, not in a task: which of them are still good, nobody knows.
            self._idle.clear()
            raise

    def _start(self, task: Any) -> None:
        self._local["task"] = task
        task.carrier = carrier = self._idle.pop() if self._idle else greenlet(self._loop, self._hub)
        carrier.switch(task)

    def hand_over(self, me: Any, following: Any) -> None:
        if following is None:
            self._hub.switch()
            return
        carrier = following.carrier
        if carrier is None:
            self._start(following)
        else:
            self._local["task"] = following
            carrier.switch()

    def _loop(self, task: Any) -> None:
        me = getcurrent()
        while True:
            following = task.runtime.live_through(task)
            task.carrier = None
            if following is None:
                self._idle.append(me)
                task = self._hub.switch()
                continue
            local.task = task = following
            if task.carrier is None:
                task.carrier = me
            else:
                self._idle.append(me)
                task = task.carrier.switch()

    def abandon(self, task: Any) -> None:
        carrier = task.carrier
        local.task = task
        try:
            carrier.throw(Abandon)
        except Abandon:
            task.carrier = None  # nothing of the task is on it: it was about to begin, or has ended
        if task.carrier is not None:
            self._left.append(carrier)

    def frame(self, task: Any) -> FrameType | None:
        frame: FrameType | None = task.carrier.gr_frame if task.carrier is not None else None
        return frame


class _Thread:
    """One pooled OS thread and its baton."""

    def __init__(self, owner: "Batons") -> None:
        self.owner = owner
        self.task: Any = None
        self.abandoned = False
        self.baton = allocate_lock()
        self.baton.acquire()
        self.thread = threading.Thread(target=self._loop, name="kwlab-model", daemon=True)
        self.thread.start()

    def _loop(self) -> None:
        local.carrier = self
        while True:
            self.baton.acquire()
            local.task = task = self.task
            following = task.runtime.live_through(task)
            task.carrier = None
            local.task = self.task = task = None
            self.owner.idle.append(self)
            self.owner.pass_to(following)
            following = None


class Batons:
    """Carriers that are OS threads: only the one that was given its baton runs."""

    def __init__(self) -> None:
        self.idle: list[_Thread] = []
        self._left: list[_Thread] = []
        self._back = False  # whether the hub has its baton, or is about to get it
        self._renew()

    def _renew(self) -> None:
        self._hub = allocate_lock()
        self._hub.acquire()

    def pass_to(self, task: Any) -> None:
        """Let `task` (None: the hub) run; the caller must wait for its own baton right after."""
        if task is None:
            hub = self._hub
            self._back = True
            hub.release()
            return
        carrier = task.carrier
        if carrier is None:
            carrier = task.carrier = self.idle.pop() if self.idle else _Thread(self)
            carrier.task, carrier.abandoned = task, False
        carrier.baton.release()

    def run(self, task: Any) -> None:
        self._back = False
        self.pass_to(task)
        self._wait()

    def _wait(self) -> None:
        """As the hub, until somebody hands over to it."""
        try:
            self._hub.acquire()
        except BaseException:
            # A signal's handler raised. The task that runs knows nothing of it, and nobody may touch the others before
            # it is over; nor is known whether the baton was taken.
            while not self._back:
                try:
                    self._hub.acquire(timeout=GLANCE)
                except BaseException:
                    continue
            self._renew()
            raise

    def hand_over(self, me: Any, following: Any) -> None:
        carrier = me.carrier
        self.pass_to(following)
        carrier.baton.acquire()
        if carrier.abandoned:
            raise Abandon

    def current(self) -> Any:
        return getattr(local, "carrier", None)

    def abandon(self, task: Any) -> None:
        carrier = task.carrier
        carrier.abandoned = True
        self._back = False
        carrier.baton.release()
        self._wait()
        if task.carrier is not None:
            self._left.append(carrier)

    def frame(self, task: Any) -> FrameType | None:
        if task.carrier is None:
            return None
        return sys._current_frames().get(task.carrier.thread.ident or 0)
