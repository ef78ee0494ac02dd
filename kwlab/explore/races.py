"""The data race detector: two accesses to one field, at least one a write, that nothing puts in order.

What puts them in order ("happens before"), and is all that counts here:

* a spinlock: its release before the next acquisition;
* a wake-up that woke somebody: the waker before the return from `schedule`; the first one also before the thread's
  first line. A wake-up of a task that runs hands over nothing, and neither does an announcement
  (`set_current_state`): its barrier orders the sleeper's own accesses and publishes none of them;
* a completion: every `complete` so far before a wait that takes from it, and before a `completion_done` that says yes;
* flag bits: a `set_bit` or `clear_bit` before every later look at the same bit (what x86 does; the kernel promises
  it only together with a barrier);
* making a thread before all that it does.

Nothing else may be in order here than what collides in `kwlab.explore.dependency`: of two operations that cannot notice
each other the reductions try one order only, and if that one hid a race, nobody would see it. So two bits of a word and
two `complete` calls hand each other nothing.

`READ_ONCE` and `WRITE_ONCE` put nothing in order. Two of them never race with each other, one of them and a plain
access do: both sides have to say that they mean it (as the kernel defines it, tools/memory-model).

Every task has a vector clock: how much of each task's life lies before what it does now. It ticks when the task hands
something over, and its stamp says between which two ticks an access was made; a field remembers the stamps of its last
write and last reads (FastTrack, Flanagan and Freund 2009). A race shows in every execution in which nothing puts the
two accesses in order, whichever comes first; so few executions are enough to see it.
"""

import sys
from typing import Any

from kwlab.explore.fields import LINKS, address
from kwlab.explore.places import file_name, innermost
from kwlab.listhead import ListHead
from kwlab.runtime.model import ModelRuntime
from kwlab.runtime.model_objects import ModelTask, unobserved
from kwlab.runtime.model_ops import (
    COMPLETE,
    LOCK,
    READ,
    SCHEDULE,
    SET_BIT,
    SET_STATE,
    STORE_STATE,
    TEST_BIT,
    TEST_COMPLETION,
    UNLOCK,
    WAIT,
    WAKE,
    WRITE,
)
from kwlab.struct import Struct, member_names

__all__ = ["Clock", "PatientDetector", "RaceDetector", "Stamp"]

_READS, _WRITES = "reads", "writes"


Stamp = tuple[int, int]  # a task's number, and how often it had ticked
Handed = tuple[Stamp, list[int]]  # when something was handed over, and all that lay before


class Clock:
    """The vector clock of one task, and what the accessors of `kwlab.explore.fields` call: `read` and `write`.

    ``before[n]``: how many ticks of task number n lie before what the task does now; its own count is there too, and in
    `stamp`, which is a new pair after each tick. `cells`, by address: [stamp of the last write, stamp of the last read
    or stamps by task number, the struct (so that it lives on), the clock of the only task that has touched it].
    """

    __slots__ = ("before", "cells", "detector", "number", "stamp")

    def __init__(self, detector: "RaceDetector", number: int, before: list[int]) -> None:
        self.detector = detector
        self.cells = detector.cells
        self.number = number
        self.before = before
        self.stamp: Stamp = (number, before[number])

    def hand_over(self) -> Handed:
        """What was done so far lies before what is done by whoever learns of it; what follows does not."""
        handed = self.stamp, self.before[:]
        self.before[self.number] = time = handed[0][1] + 1
        self.stamp = (self.number, time)
        return handed

    def learn(self, handed: Handed) -> None:
        """What was handed over lies before what is done from now on."""
        (giver, time), theirs = handed
        mine = self.before
        if mine[giver] < time:
            for number, known in enumerate(theirs):
                if known > mine[number]:
                    mine[number] = known

    def follows(self, stamp: Stamp) -> bool:
        """True if what was done at `stamp` lies before what is done now."""
        return self.before[stamp[0]] >= stamp[1]

    def read(self, cell: list[Any], struct: Any, field: str) -> None:
        """The first plain read of ``struct.field`` since a tick, where others touch it too."""
        before = self.before
        written, last, _, _ = cell
        if written is not None and before[written[0]] < written[1]:
            self.detector.race(struct, field, (written, _WRITES), (self.stamp, _READS))
        if last is None:
            cell[1] = self.stamp
        elif last.__class__ is tuple:
            # Of reads in order the last one is enough.
            cell[1] = self.stamp if before[last[0]] >= last[1] else {last[0]: last, self.number: self.stamp}
        else:
            last[self.number] = self.stamp
        cell[3] = None
        if self.detector.marked:
            self._check_marked(struct, field, _READS)

    def write(self, cell: list[Any], struct: Any, field: str) -> None:
        """The first plain write of ``struct.field`` since a tick, where others touch it too."""
        before = self.before
        written, last, _, _ = cell
        if written is not None and before[written[0]] < written[1]:
            self.detector.race(struct, field, (written, _WRITES), (self.stamp, _WRITES))
        if last is not None:
            for reader in (last,) if last.__class__ is tuple else last.values():
                if before[reader[0]] < reader[1]:
                    self.detector.race(struct, field, (reader, _READS), (self.stamp, _WRITES))
        cell[0], cell[1], cell[3] = self.stamp, None, None
        if self.detector.marked:
            self._check_marked(struct, field, _WRITES)

    def _check_marked(self, struct: Any, field: str, how: str) -> None:
        for (_, other_how), other in self.detector.marked.get((id(struct), field), {}).items():
            if (how == _WRITES or other_how == _WRITES) and not self.follows(other):
                self.detector.race(struct, field, (other, other_how), (self.stamp, how))

    def marked(self, struct: Any, field: str, how: str) -> None:
        """`READ_ONCE` or `WRITE_ONCE` of ``struct.field``."""
        cell = self.cells.setdefault(address(struct, field), [None, None, struct, None])
        written, last, _, _ = cell
        if written is not None and not self.follows(written):
            self.detector.race(struct, field, (written, _WRITES), (self.stamp, how))
        if last is not None and how == _WRITES:
            for reader in (last,) if last.__class__ is tuple else last.values():
                if not self.follows(reader):
                    self.detector.race(struct, field, (reader, _READS), (self.stamp, how))
        cell[3] = None
        self.detector.marked.setdefault((id(struct), field), {})[self.number, how] = self.stamp


class RaceDetector:
    """The detector of one execution. A race ends it, with kind "data race"."""

    clock = Clock

    def __init__(self, runtime: ModelRuntime) -> None:
        self.runtime = runtime
        self.cells: dict[Any, list[Any]] = {}
        self.clocks: list[Clock] = []
        self.marked: dict[tuple[int, str], dict[tuple[int, str], Stamp]] = {}  # by field; by task number and how
        self._handed: dict[Any, Handed] = {}  # by lock and by flag bit: what it hands to the next
        self._completed: dict[
            Any, dict[int, Handed]
        ] = {}  # by completion: what each task's last `complete` handed over
        self._wakers: dict[ModelTask, list[Handed]] = {}  # whose wake-ups a task has not come back from yet

    def attach(self) -> None:
        """Watch the runtime. What its observer looks at is no access of a task."""
        self.runtime.born = self.born
        observer = self.runtime.observer
        if observer is None:
            self.runtime.observer = self.observe
            return

        def both(task: ModelTask, op: int, target: Any, result: Any) -> None:
            self.observe(task, op, target, result)
            with unobserved(task):
                observer(task, op, target, result)

        self.runtime.observer = both

    def close(self) -> None:
        """The execution is over: what is looked at now is no access of a task. Lets go of everything."""
        for task in self.runtime.all_tasks:
            task.epoch = None
        for kept in (self.cells, self.clocks, self.marked, self._handed, self._completed, self._wakers):
            kept.clear()

    def born(self, task: ModelTask) -> None:
        """A new task, made by the running one (or by nobody: the first)."""
        maker = self.runtime.running
        for clock in self.clocks:
            clock.before.append(0)
        before = [0] if maker is None else maker.epoch.hand_over()[1]
        before[task.id] = 1
        task.epoch = self.clock(self, task.id, before)
        self.clocks.append(task.epoch)

    def observe(self, task: ModelTask, op: int, target: Any, result: Any) -> None:
        """An operation was done."""
        clock = task.epoch
        if op == LOCK:
            handed = self._handed.get(target)
            if handed is not None:
                clock.learn(handed)
        elif op == UNLOCK:
            self._handed[target] = clock.hand_over()
        elif op == SET_STATE or op == STORE_STATE:
            # A task's own business; a wake-up that it has not come back from is undone.
            self._wakers.pop(target, None)
        elif op == TEST_BIT:
            handed = self._handed.get((target, task.argument))
            if handed is not None:
                clock.learn(handed)
        elif op == WAIT or (op == TEST_COMPLETION and result):
            for handed in self._completed.get(target, {}).values():
                clock.learn(handed)
        elif op == SCHEDULE:
            for waker in self._wakers.pop(task, ()):
                clock.learn(waker)
        elif op == WAKE:
            if result:
                handed = clock.hand_over()
                if target.carrier is None:
                    target.epoch.learn(handed)
                else:
                    self._wakers.setdefault(target, []).append(handed)
        elif op == COMPLETE:
            self._completed.setdefault(target, {})[task.id] = clock.hand_over()
        elif op == SET_BIT:
            bit = task.argument if result else ~task.argument
            handed = self._handed.get((target, bit))
            if handed is not None:
                clock.learn(handed)
            self._handed[target, bit] = clock.hand_over()
        elif (op == READ or op == WRITE) and result not in target.DATA_RACY:
            field = LINKS if isinstance(target, ListHead) else result
            clock.marked(target, field, _READS if op == READ else _WRITES)

    def race(self, struct: Any, field: str, *accesses: tuple[Stamp, str]) -> None:
        """End the execution: nothing puts the two `accesses` in order."""
        tasks = self.runtime.all_tasks
        tasks[accesses[1][0][0]].epoch = None  # what is looked at from here on is no access of the task
        first, second = (
            f"{tasks[number].name} {how} it{self.site(struct, field, number, how)}" for (number, _), how in accesses
        )
        name = _name(struct) if field == LINKS else f"{_name(struct)}.{field}"
        self.runtime.fail("data race", f"{name}: {first}; {second}; nothing puts the two in order")

    def site(self, struct: Any, field: str, number: int, how: str) -> str:
        """Where the access was made; nothing, see `PatientDetector`."""
        return ""


class _NotingClock(Clock):
    __slots__ = ()
    detector: "PatientDetector"

    def read(self, cell: list[Any], struct: Any, field: str) -> None:
        cell[2] = struct
        self.detector.note(self.number, struct, field, _READS)
        super().read(cell, struct, field)

    def write(self, cell: list[Any], struct: Any, field: str) -> None:
        cell[2] = struct
        self.detector.note(self.number, struct, field, _WRITES)
        super().write(cell, struct, field)

    def marked(self, struct: Any, field: str, how: str) -> None:
        self.detector.note(self.number, struct, field, how)
        super().marked(struct, field, how)


class _Unowned(dict[Any, Any]):
    """Cells that nobody owns, so that a clock hears of every first access since a tick."""

    def get(self, key: Any, default: Any = None) -> Any:
        return self.setdefault(key, [None, None, None, None])


class PatientDetector(RaceDetector):
    """Also knows where each access was made. To write that down would cost more than all the rest, so it is done only
    when there is a race to report: the same schedule is run once more."""

    clock = _NotingClock

    def __init__(self, runtime: ModelRuntime) -> None:
        super().__init__(runtime)
        self.cells = _Unowned()
        self._sites: dict[tuple[int, str, int, str], str] = {}

    def note(self, number: int, struct: Any, field: str, how: str) -> None:
        """Write down where the running task is."""
        found = innermost(sys._getframe(2))
        place = f"in {found[0].co_name}(), {file_name(found[0].co_filename)}:{found[1]}, " if found is not None else ""
        held = ", ".join(lock.name for lock in self.runtime.all_tasks[number].held) or "no lock"
        self._sites[id(struct), field, number, how] = f" {place}holding {held}"

    def site(self, struct: Any, field: str, number: int, how: str) -> str:
        return self._sites.get((id(struct), field, number, how), "")


def _name(struct: Any) -> str:
    """``KthreadWork.node`` for the list head in a work: by type, since addresses say nothing."""
    container = struct._container
    if isinstance(container, Struct):
        for name in member_names(type(container)):
            if getattr(container, name, None) is struct:
                return f"{_name(container)}.{name}"
    return type(struct).__name__
