"""The data race detector: two accesses to one field, at least one a write, that nothing puts in order.

What puts them in order ("happens before"), and is all that counts here:

* a spinlock: its release before the next acquisition;
* a wake-up that woke somebody: the waker before the return from `schedule`; the first one also before the thread's
  first line. A wake-up of a task that runs hands over nothing, and neither does an announcement
  (`set_current_state`): its barrier orders the sleeper's own accesses and publishes none of them;
* a completion: `complete` before the wait that takes from it, and before a `completion_done` that says yes;
* flag bits: a `set_bit` or `clear_bit` before every later look at the same word (what x86 does; the kernel promises
  it only together with a barrier);
* making a thread before all that it does.

`READ_ONCE` and `WRITE_ONCE` put nothing in order. Two of them never race with each other, one of them and a plain
access do: both sides have to say that they mean it (as the kernel defines it, tools/memory-model).

Time is counted in epochs: a task begins a new one whenever it hands something over. An epoch knows by its vector
clock what of every other task lies before it; a field remembers the epochs of its last write and last reads (vector
clocks with epochs, as in FastTrack, Flanagan and Freund 2009). A race shows in every execution in which nothing puts
the two accesses in order, whichever comes first; so few executions are enough to see it.
"""

import sys
from typing import Any

from kwlab.explore.fields import address
from kwlab.explore.places import file_name, innermost
from kwlab.runtime.model import ModelRuntime, Observer
from kwlab.runtime.model_objects import ModelTask
from kwlab.runtime.model_ops import (
    COMPLETE,
    LOCK,
    READ,
    SCHEDULE,
    SET_BIT,
    SPAWN,
    TEST_BIT,
    TEST_COMPLETION,
    UNLOCK,
    WAIT,
    WAKE,
    WRITE,
)
from kwlab.struct import path_of

__all__ = ["Epoch", "RaceDetector"]

_ACQUIRES = frozenset((LOCK, SCHEDULE, WAIT, TEST_BIT, TEST_COMPLETION))
_READS, _WRITES = "reads", "writes"


class Epoch:
    """What `task` does between two moments in which it hands something over. `before`: the vector clock, by task
    number; ``before[number]`` is the epoch's own time."""

    __slots__ = ("before", "cells", "detector", "number", "task", "time")

    def __init__(self, detector: "RaceDetector", task: ModelTask, before: list[int]) -> None:
        self.detector = detector
        self.cells = detector.cells
        self.task = task
        self.number = task.id
        self.before = before
        while len(before) <= task.id:
            before.append(0)
        before[task.id] += 1
        self.time = before[task.id]

    def follows(self, earlier: "Epoch") -> bool:
        """True if all of `earlier`, up to what it handed over, lies before this epoch."""
        number = earlier.number
        return number == self.number or (number < len(self.before) and self.before[number] >= earlier.time)

    def learn(self, other: "Epoch") -> None:
        """All that lies before `other`, and `other` itself, lies before this epoch from now on."""
        mine, theirs = self.before, other.before
        number = other.number
        if number < len(mine) and mine[number] >= other.time:
            return
        mine.extend([0] * (len(theirs) - len(mine)))
        for index, time in enumerate(theirs):
            if time > mine[index]:
                mine[index] = time


class RaceDetector:
    """The detector of one execution. The accessors of `kwlab.explore.fields` call `read` and `write`, at most once per
    field and epoch; the runtime reports operations. A race ends the execution with kind "data race".

    Where an access was made is not written down, it would cost more than all the rest: with `sites` it is, and the
    same schedule is run once more to tell it.
    """

    def __init__(self, runtime: ModelRuntime, sites: bool = False) -> None:
        self.runtime = runtime
        # By address: [epoch of the last write, epoch or epochs of the last reads, the struct (kept alive)].
        self.cells: dict[Any, list[Any]] = {}
        self.blind = False
        self._handed: dict[Any, Epoch] = {}  # by lock, completion, flag word; by a woken task
        self._marked: dict[Any, list[tuple[Epoch, str]]] = {}  # by address
        self._sites: dict[tuple[Any, int, str], str] | None = {} if sites else None

    # ------------------------------------------------------------------------------------------------------ operations

    def born(self, task: ModelTask) -> None:
        """A new task, made by the running one (or by nobody: the first)."""
        maker = self.runtime.running
        before = list(maker.epoch.before) if maker is not None and maker.epoch is not None else []
        task.epoch = Epoch(self, task, before)

    def observe(self, task: ModelTask, op: int, target: Any, result: Any) -> None:
        """An operation was done."""
        if op in _ACQUIRES:
            if op == LOCK or result is not False:
                handed = self._handed.get(target)
                if handed is not None:
                    task.epoch.learn(handed)
        elif op == UNLOCK or op == COMPLETE or op == SET_BIT or (op == WAKE and result):
            epoch = task.epoch
            earlier = self._handed.get(target)
            if earlier is not None and op != UNLOCK:
                epoch.learn(earlier)
            self._handed[target] = epoch
            if op == WAKE and target.carrier is None:
                target.epoch.learn(epoch)
            task.epoch = Epoch(self, task, list(epoch.before))
        elif op == SPAWN:
            task.epoch = Epoch(self, task, list(task.epoch.before))
        elif op == READ or op == WRITE:
            self._marked_access(task.epoch, target, result, _READS if op == READ else _WRITES)

    def around(self, observer: Observer | None) -> Observer:
        """An observer that detects, and calls `observer` too; what that one looks at is no access of the task's."""
        if observer is None:
            return self.observe
        other = observer

        def both(task: ModelTask, op: int, target: Any, result: Any) -> None:
            self.observe(task, op, target, result)
            self.blind = True
            try:
                other(task, op, target, result)
            finally:
                self.blind = False

        return both

    # -------------------------------------------------------------------------------------------------------- accesses

    def read(self, epoch: Epoch, where: Any, struct: Any, field: str) -> None:
        """A plain read of ``struct.field`` in `epoch`."""
        if self.blind:
            return
        cell = self.cells.get(where)
        if cell is None:
            cell = self.cells[where] = [None, None, struct]
        if self._sites is not None:
            self._sites[where, epoch.number, _READS] = self._site()
        written = cell[0]
        if written is not None and not epoch.follows(written):
            self._race(struct, field, where, (written, _WRITES), (epoch, _READS))
        last = cell[1]
        if last is None or (last.__class__ is Epoch and epoch.follows(last)):
            cell[1] = epoch
        elif last.__class__ is Epoch:
            cell[1] = {last.number: last, epoch.number: epoch}
        else:
            last[epoch.number] = epoch
        if self._marked:
            self._check_marked(epoch, where, struct, field, _READS)

    def write(self, epoch: Epoch, where: Any, struct: Any, field: str) -> None:
        """A plain write of ``struct.field`` in `epoch`."""
        if self.blind:
            return
        cell = self.cells.get(where)
        if cell is None:
            cell = self.cells[where] = [None, None, struct]
        if self._sites is not None:
            self._sites[where, epoch.number, _WRITES] = self._site()
        self._check_plain(epoch, cell, where, struct, field, _WRITES)
        cell[0], cell[1] = epoch, None
        if self._marked:
            self._check_marked(epoch, where, struct, field, _WRITES)

    def _check_plain(self, epoch: Epoch, cell: list[Any], where: Any, struct: Any, field: str, how: str) -> None:
        written, last = cell[0], cell[1]
        if written is not None and not epoch.follows(written):
            self._race(struct, field, where, (written, _WRITES), (epoch, how))
        if how == _WRITES and last is not None:
            for reader in (last,) if last.__class__ is Epoch else last.values():
                if not epoch.follows(reader):
                    self._race(struct, field, where, (reader, _READS), (epoch, how))

    def _check_marked(self, epoch: Epoch, where: Any, struct: Any, field: str, how: str) -> None:
        for other, other_how in self._marked.get(where, ()):
            if (how == _WRITES or other_how == _WRITES) and not epoch.follows(other):
                self._race(struct, field, where, (other, other_how), (epoch, how))

    def _marked_access(self, epoch: Epoch, struct: Any, field: str, how: str) -> None:
        if field in struct.DATA_RACY:
            return
        where = address(struct, field)
        if self._sites is not None:
            self._sites[where, epoch.number, how] = self._site()
        cell = self.cells.setdefault(where, [None, None, struct])
        self._check_plain(epoch, cell, where, struct, field, how)
        self._marked.setdefault(where, []).append((epoch, how))

    # ------------------------------------------------------------------------------------------------------ the report

    def _site(self) -> str:
        found = innermost(sys._getframe(2))
        task = self.runtime.running
        held = ", ".join(lock.name for lock in task.held) if task is not None and task.held else "no lock"
        if found is None:
            return f"holding {held}"
        code, line = found
        return f"in {code.co_name}(), {file_name(code.co_filename)}:{line}, holding {held}"

    def _race(self, struct: Any, field: str, where: Any, first: tuple[Epoch, str], second: tuple[Epoch, str]) -> None:
        self.blind = True
        both = [
            f"{epoch.task.name} {how} it {self._sites.get((where, epoch.number, how), '') if self._sites else ''}".rstrip()
            for epoch, how in (first, second)
        ]
        self.runtime.fail("data race", f"{path_of(struct)}.{field}: {both[0]}; {both[1]}; nothing puts the two in order")
