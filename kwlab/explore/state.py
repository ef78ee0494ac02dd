"""The state of an execution, as a key: two executions with the same key have the same future.

What is in it: of every task what it has announced, its own fields and its suspended frames; all that can be reached
from there; the clock, the timers, the freezer, the log, and the notes that are not issued yet. What is not: how the
execution came here. (`ModelTask.last_step` and `yielded` count steps, so they are about the past.)
"""

import sys
from types import FrameType

from kwlab.explore.canonical import Canonical
from kwlab.explore.frames import READABLE, Opaque, Suspended, chain
from kwlab.runtime import reports
from kwlab.runtime.model import ModelRuntime
from kwlab.runtime.model_objects import ModelTask, unobserved

__all__ = ["StateKeys"]


class StateKeys:
    """Makes keys. `opaque` says why some states had none.

    `identities`: states that differ only in the keys by which operations collide (`ModelRuntime.new_key`) are told
    apart, too, so that what was noted by key on one way to a state holds on every other.
    """

    def __init__(self, identities: bool = False) -> None:
        self.opaque: dict[str, None] = {}
        self._identities = identities
        self._canonical = Canonical(identities)
        self._runtime: ModelRuntime | None = None
        self._frames: dict[int, tuple[int, list[Suspended]]] = {}
        if not READABLE:
            self.opaque["this Python does not show the stacks of suspended functions (CPython 3.11 does)"] = None

    def key(self, runtime: ModelRuntime, me: ModelTask) -> bytes | None:
        """The key of the state in which `me` asks who goes on; None if it cannot be told from others for sure."""
        if not READABLE:
            return None
        try:
            with unobserved(me):
                return self._key(runtime, me)
        except Opaque as error:
            self.opaque[str(error)] = None
            return None

    def _key(self, runtime: ModelRuntime, me: ModelTask) -> bytes:
        canonical = self._canonical
        canonical.begin()
        if self._identities:
            canonical.keys = runtime.field_keys()
        for task in runtime.all_tasks:
            canonical.number(task)
        for task in runtime.all_tasks:
            # Not from its state: others may store into that of a task that has exited.
            alive = task in runtime.live
            canonical.write(
                [alive, task.name, task._state, task._flags, task._usage, task.irqs_off, task.kthread, task.kept]
            )
            if alive:
                frames = self.frames(task, me)
                entry = task.entry if task.carrier is None else None  # later its frames say it
                canonical.write([task.op, task.target, task.argument, entry, len(task.held), *task.held, len(frames)])
                for suspended in frames:
                    canonical.frame(suspended)
        lines = runtime.log.lines
        notes = [message for task, message in reports.noted if getattr(task, "runtime", None) is runtime]
        canonical.write([runtime.clock, runtime.timer_base, runtime._freeze.word, runtime.result])
        canonical.write([extra() for extra in runtime.extra_state])
        canonical.write([len(lines), *lines, len(notes), *notes])
        if self._identities:
            canonical.write([runtime.keys, *(task.key for task in runtime.all_tasks)])
        return canonical.digest()

    def frames(self, task: ModelTask, me: ModelTask) -> list[Suspended]:
        """The suspended frames of `task`, where `me` asks who goes on. Raises `Opaque` if they cannot be read whole."""
        if task.carrier is None:
            return []
        if task.runtime is not self._runtime:
            self._runtime = task.runtime
            self._frames.clear()
        # Only a task that was chosen since has other frames than the last time.
        known = self._frames.get(task.id)
        if known is not None and known[0] == task.last_step and task is not me:
            return known[1]
        innermost: FrameType | None = sys._getframe() if task is me else task.runtime.carriers.frame(task)
        frames = chain(innermost)
        self._frames[task.id] = (task.last_step, frames)
        return frames
