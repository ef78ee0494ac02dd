"""Vector clocks: how much of each task's life lies before what a task does now, and what it finds where it comes.

`kwlab.explore.races` tells what puts two accesses in order; here it is kept account of.
"""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kwlab.explore.fields import LAST_READ, LAST_WRITE, LINKS, MARKED, NOBODY, OWNER, Cell, cell_of
from kwlab.listhead import ListHead
from kwlab.runtime.model_objects import ModelBits, ModelCompletion, ModelSpinLock, ModelTask

if TYPE_CHECKING:
    from kwlab.explore.races import RaceDetector

__all__ = ["ALL", "READS", "WRITES", "Clock", "Handed", "Stamp"]

READS, WRITES = "reads", "writes"

Stamp = tuple[int, int]  # a task's number, and how often it had ticked
Handed = tuple[int, int, list[int]]  # the stamp of who handed something over, and all that lay before

ALL = sys.maxsize  # ticks


class Clock:
    """The vector clock of one task.

    ``before[n]``: how many ticks of task number n lie before what the task does now; all of its own. The list is never
    changed, since others may have been given it. `stamp` is a new pair after each tick.
    """

    __slots__ = ("before", "detector", "first", "number", "stamp", "wakers")

    def __init__(self, detector: "RaceDetector", number: int, before: list[int]) -> None:
        self.detector = detector
        self.number = number
        self.before = before
        self.stamp: Stamp = (number, 1)
        self.wakers: tuple[Handed, ...] = ()  # whose wake-ups it has not come back from yet
        # Called as ``first(cell, struct, field, how)`` for the first access to a field, instead of `read` or `write`.
        self.first: Callable[[Cell, Any, str, str], object] | None = None

    def hand_over(self) -> Handed:
        """What was done so far lies before what is done by whoever learns of it; what follows does not."""
        number, time = self.stamp
        self.stamp = number, time + 1
        return number, time, self.before

    def learn(self, handed: Handed) -> None:
        """What was handed over lies before what is done from now on."""
        giver, time, theirs = handed
        mine = self.before
        if mine[giver] < time:
            # By hand: for so few numbers zip() and max() are dear.
            both, number = [], 0
            for known in theirs:
                own = mine[number]
                both.append(known if known > own else own)
                number += 1
            both += mine[number:]  # of tasks that were born since
            both[giver] = time
            self.before = both

    # --------------------------------------------------- what the primitives tell; `handed` is what they keep for it

    def acquired(self, lock: ModelSpinLock) -> None:
        handed = lock.handed
        if handed is not None and handed[0] != self.number:  # most often it was its own
            self.learn(handed)

    def released(self, lock: ModelSpinLock) -> None:
        number, time = self.stamp  # as hand_over(), which is a call more: of all operations this is the most frequent
        lock.handed = number, time, self.before
        self.stamp = number, time + 1

    def woke(self, task: ModelTask) -> None:
        handed = self.hand_over()
        if task.carrier is None:
            task.epoch.learn(handed)
        else:
            task.epoch.wakers += (handed,)

    def returned(self) -> None:
        """From `schedule`."""
        for handed in self.wakers:
            self.learn(handed)
        self.wakers = ()

    def completed(self, completion: ModelCompletion) -> None:
        if completion.handed is None:
            completion.handed = {}
        completion.handed[self.number] = self.hand_over()  # of each task the last is enough

    def took(self, completion: ModelCompletion) -> None:
        """One of those that there were to take, or was told that there are some."""
        for handed in completion.handed.values():
            self.learn(handed)

    def tested(self, bits: ModelBits, bit: int) -> None:
        if bit in bits.handed:
            self.learn(bits.handed[bit])

    def changed(self, bits: ModelBits, bit: int) -> None:
        """Set or cleared."""
        if bits.handed is None:
            bits.handed = {}
        self.tested(bits, bit)
        bits.handed[bit] = self.hand_over()

    def read_once(self, struct: Any, field: str) -> None:
        self._once(struct, field, READS)

    def wrote_once(self, struct: Any, field: str) -> None:
        self._once(struct, field, WRITES)

    def _once(self, struct: Any, field: str, how: str) -> None:
        if field not in struct.DATA_RACY:
            links = isinstance(struct, ListHead) and field in ("next", "prev")
            self.marked(struct, LINKS if links else field, how)

    # ---------------------------------------------------------------------------------- what the fields' observers tell

    def follows(self, stamp: Stamp) -> bool:
        """True if what was done at `stamp` lies before what is done now."""
        return self.before[stamp[0]] >= stamp[1]

    def read(self, cell: Cell, struct: Any, field: str) -> None:
        """A plain read of ``struct.field`` where others were."""
        before = self.before
        written, last, _, _, marked = cell
        if written is not None and before[written[0]] < written[1]:
            self.detector.race(struct, field, (written, WRITES), (self.stamp, READS))
        if last is None or (last.__class__ is tuple and before[last[0]] >= last[1]):
            # Of reads in order the last one is enough.
            cell[LAST_READ] = self.stamp
            cell[OWNER] = self
        elif last.__class__ is tuple:
            cell[LAST_READ] = {last[0]: last, self.number: self.stamp}
            cell[OWNER] = NOBODY
        else:
            last[self.number] = self.stamp
        if marked is not None:
            self._check_marked(cell, struct, field, READS)

    def write(self, cell: Cell, struct: Any, field: str) -> None:
        """A plain write of ``struct.field`` where others were."""
        before = self.before
        written, last, _, _, marked = cell
        if written is not None and before[written[0]] < written[1]:
            self.detector.race(struct, field, (written, WRITES), (self.stamp, WRITES))
        if last is not None:
            for reader in (last,) if last.__class__ is tuple else last.values():
                if before[reader[0]] < reader[1]:
                    self.detector.race(struct, field, (reader, READS), (self.stamp, WRITES))
        cell[LAST_WRITE], cell[LAST_READ], cell[OWNER] = self.stamp, None, self
        if marked is not None:
            self._check_marked(cell, struct, field, WRITES)

    def _check_marked(self, cell: Cell, struct: Any, field: str, how: str) -> None:
        cell[OWNER] = NOBODY  # every access has to be compared with the marked ones
        for (_, other_how), other in cell[MARKED].items():
            if (how == WRITES or other_how == WRITES) and not self.follows(other):
                self.detector.race(struct, field, (other, other_how), (self.stamp, how))

    def marked(self, struct: Any, field: str, how: str) -> None:
        """`READ_ONCE` or `WRITE_ONCE` of ``struct.field``."""
        cell = cell_of(struct, field, self.detector)
        written, last, _, _, marked = cell
        if written is not None and not self.follows(written):
            self.detector.race(struct, field, (written, WRITES), (self.stamp, how))
        if last is not None and how == WRITES:
            for reader in (last,) if last.__class__ is tuple else last.values():
                if not self.follows(reader):
                    self.detector.race(struct, field, (reader, READS), (self.stamp, how))
        cell[OWNER] = NOBODY
        if marked is None:
            cell[MARKED] = {}
        cell[MARKED][self.number, how] = self.stamp
