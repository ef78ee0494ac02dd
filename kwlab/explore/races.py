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

from kwlab.explore.fields import LAST_READ, LAST_WRITE, LINKS, NOBODY, OWNER, Cell, expect, forget
from kwlab.explore.places import file_name, innermost
from kwlab.explore.vector_clock import ALL, READS, WRITES, Clock, Stamp
from kwlab.runtime.model import ModelRuntime
from kwlab.runtime.model_objects import ModelTask, unobserved
from kwlab.struct import Struct, member_names

__all__ = ["PatientDetector", "RaceDetector"]


class RaceDetector:
    """The detector of one execution. A race ends it, with kind "data race".

    It gives every task a clock as its `epoch`: the primitives of the model tell that what they do (see
    `kwlab.runtime.model_objects`), and the fields who touches them.
    """

    clock = Clock

    def __init__(self, runtime: ModelRuntime) -> None:
        self.runtime = runtime
        self.clocks: list[Clock] = []
        self.shadows: list[Any] = []  # the structs in which cells are kept

    def attach(self) -> None:
        """Watch the runtime. What its observer looks at is no access of a task."""
        expect(self.runtime)
        self.runtime.born = self.born
        observer = self.runtime.observer
        if observer is not None:

            def apart(task: ModelTask, op: int, target: Any, result: Any) -> None:
                with unobserved(task):
                    observer(task, op, target, result)

            self.runtime.observer = apart

    def close(self) -> None:
        """The execution is over: what is looked at now is no access of a task. Lets go of everything."""
        expect()
        self.runtime.born = None
        for task in self.runtime.all_tasks:
            task.epoch = None
        self.clocks.clear()
        forget(self.shadows)

    def born(self, task: ModelTask) -> None:
        """A new task, made by the running one (or by nobody: the first)."""
        maker = self.runtime.running
        for clock in self.clocks:
            clock.before = [*clock.before, 0]
        before: list[int] = []
        if maker is not None:
            giver, time, theirs = maker.epoch.hand_over()
            before = theirs[:-1]
            before[giver] = time
        before.append(ALL)
        task.epoch = self.clock(self, task.id, before)
        self.clocks.append(task.epoch)

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
    """Owns nothing, so that it hears of every access."""

    __slots__ = ()
    detector: "PatientDetector"

    def __init__(self, detector: "RaceDetector", number: int, before: list[int]) -> None:
        super().__init__(detector, number, before)
        self.first = self._first

    def _first(self, cell: Cell, struct: Any, field: str, how: str) -> None:
        cell[OWNER] = NOBODY
        self.detector.note(self.number, struct, field, how)

    def read(self, cell: Cell, struct: Any, field: str) -> None:
        if cell[LAST_READ] is not self.stamp and cell[LAST_WRITE] is not self.stamp:
            self.detector.note(self.number, struct, field, READS)
            super().read(cell, struct, field)
            cell[OWNER] = NOBODY

    def write(self, cell: Cell, struct: Any, field: str) -> None:
        if cell[LAST_WRITE] is not self.stamp:
            self.detector.note(self.number, struct, field, WRITES)
            super().write(cell, struct, field)
            cell[OWNER] = NOBODY

    def marked(self, struct: Any, field: str, how: str) -> None:
        self.detector.note(self.number, struct, field, how)
        super().marked(struct, field, how)


class PatientDetector(RaceDetector):
    """Also knows where each access was made. To write that down would cost more than all the rest, so it is done only
    when there is a race to report: the same schedule is run once more."""

    clock = _NotingClock

    def __init__(self, runtime: ModelRuntime) -> None:
        super().__init__(runtime)
        self._sites: dict[tuple[int, str, int, str], tuple[str, Any]] = {}  # and the struct: its id must not come again

    def note(self, number: int, struct: Any, field: str, how: str) -> None:
        """Write down where the running task is."""
        found = innermost(sys._getframe(2))
        place = f"in {found[0].co_name}(), {file_name(found[0].co_filename)}:{found[1]}, " if found is not None else ""
        held = ", ".join(lock.name for lock in self.runtime.all_tasks[number].held) or "no lock"
        self._sites[id(struct), field, number, how] = f" {place}holding {held}", struct

    def site(self, struct: Any, field: str, number: int, how: str) -> str:
        return self._sites.get((id(struct), field, number, how), ("", None))[0]


def _name(struct: Any) -> str:
    """``KthreadWork.node`` for the list head in a work: by type, since addresses say nothing."""
    container = struct._container
    if isinstance(container, Struct):
        for name in member_names(type(container)):
            if getattr(container, name, None) is struct:
                return f"{_name(container)}.{name}"
    return type(struct).__name__
