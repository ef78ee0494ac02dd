"""What steps touched, and which of them can notice each other: the table of `dependency`, on sets of keys.

It is told apart a little finer here what is done to the state of a task. A task stores its own state and learns nothing
by it; nor does who wakes a task and does not ask whether it slept. Two of those do not notice each other, although the
state may be another one behind them.
"""

from typing import NamedTuple

__all__ = ["ALL", "NOTHING", "Touched"]

ALL = -1  # as a set


class Touched(NamedTuple):
    """What one or more steps touched: sets of keys, as bit sets, by mode (see `dependency`).

    The last four are of task states. A task `stores` its own; somebody `wakes` it, or finds it `awake`, and is not told
    which; it is `ready`, and goes on, since it is TASK_RUNNING.
    """

    reads: int = 0
    adds: int = 0
    writes: int = 0
    stores: int = 0
    wakes: int = 0
    awake: int = 0
    ready: int = 0

    @property
    def states(self) -> int:
        """The task states that were set with no look at what they were."""
        return self.stores | self.wakes | self.awake

    @property
    def looks(self) -> int:
        """What is not the same if it was set to something else before."""
        return self.reads | self.writes | self.ready

    def notices(self, earlier: "Touched") -> bool:
        """True if one who touches this notices that the `earlier` was touched, or would be noticed if it came first."""
        reads, adds, writes, stores, wakes, awake, ready = self
        reads2, adds2, writes2, stores2, wakes2, awake2, ready2 = earlier
        return bool(
            writes & (reads2 | adds2 | writes2 | stores2 | wakes2 | awake2 | ready2)
            or reads & (adds2 | writes2 | stores2 | wakes2)
            or adds & (reads2 | writes2)
            or stores & (reads2 | writes2 | ready2)
            or wakes & (reads2 | writes2)
            or awake & writes2
            # A wake-up of who is ready anyway would change nothing, but who is may owe it to an earlier one.
            or ready & (writes2 | stores2 | wakes2)
        )

    def leaves_another(self, other: "Touched") -> int:
        """The task states that are others, though nobody has noticed yet, if the two come in the other order."""
        return self.stores & (other.wakes | other.awake) | (self.wakes | self.awake) & other.stores

    def and_then(self, other: "Touched") -> "Touched":
        """What the two touched together."""
        reads, adds, writes, stores, wakes, awake, ready = self
        reads2, adds2, writes2, stores2, wakes2, awake2, ready2 = other
        return Touched(
            reads | reads2,
            adds | adds2,
            writes | writes2,
            stores | stores2,
            wakes | wakes2,
            awake | awake2,
            ready | ready2,
        )

    def condensed(self) -> "Touched":
        """As much of it as is needed to tell who notices it."""
        reads, adds, writes, stores, wakes, awake, ready = self
        stores &= ~writes
        wakes &= ~(writes | stores)
        return Touched(
            reads & ~writes,
            adds & ~writes,
            writes,
            stores,
            wakes,
            awake & ~(writes | reads | stores | wakes | ready),
            ready & ~(writes | reads | stores | wakes),
        )

    def outlasts(self, since: "Touched") -> bool:
        """True if somebody could notice this and none of what was touched `since`."""
        reads, adds, writes, stores, _, _, ready = since
        return bool(
            self.writes & ~writes
            or self.reads & ~(reads | writes)
            or self.adds & ~(adds | writes)
            or self.states & ~(stores | writes)
            or self.ready & ~(reads | writes | stores | ready)
        )


NOTHING = Touched()
