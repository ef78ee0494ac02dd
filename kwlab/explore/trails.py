"""Which step of a graph of states could have come before an earlier one: races, on all ways through the graph at once.

A step of one execution races with a later one of another task if the two collide (see `dependency`) and no chain of
other steps puts them in order. In a graph a step is followed by many ways, so from each step a *trail* goes out along
every one of them. It carries all that matters of the way so far: which tasks know of the step (its own, and whoever
came after it in the order), what those have touched, and who was the first of the others to move. Where two ways have
brought the same trail to a state they go on as one. A trail ends where everybody knows of the step, or where whatever
could race with it would race with a later step first.

An announcement and a wake-up leave a task's state as the later of the two made it, so they race; but only who looks at
the state, or sleeps by it, can tell. Mostly nobody does: the loop announces, finds a work, and takes the announcement
back. So the trail keeps in mind who would have to come first for another state, and that is a race once somebody looks;
it is none any more once the state is stored again ("observers": Aronis, Jonsson, Lång and Sagonas 2018).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from kwlab.explore.dependency import Accesses
from kwlab.explore.touched import ALL, NOTHING, Touched

__all__ = ["Edge", "Event", "Trails"]

NOBODY = -1


class Event(NamedTuple):
    """One step. Sets of tasks are bit sets of their numbers."""

    task: int
    touched: Touched
    waits: bool  # a schedule or wait: what made it possible does not hide what it could have come before
    device: bool
    last: bool  # possible only while nobody but devices can go on: only a device's step could have come behind it
    waiters: int  # the tasks whose `waits` could collide with it
    released: int  # keys of the locks that were held before it and are not behind it
    born: int  # the tasks that it made


class Edge(NamedTuple):
    """A choice and the steps that follow without one. `pending`: what is announced and not done where all ends."""

    following: Any  # a state; None: the end
    events: list[Event]
    pending: list[tuple[int, Touched]]


class Trail(NamedTuple):
    """What matters of a way that leads on from a step."""

    step: Touched  # what the step touched
    device: bool
    waiters: int
    knowing: int  # the tasks that know of the step
    since: Touched  # what they touched since
    released: int  # the locks that they released: an unlock comes before the next lock
    first: int  # who was the first to move of those that do not know of it
    unnoticed: int  # the tasks that would have to move first for the step to leave another state, not noticed so far


class _Mark:
    """A trail in a state: where it came from, and which tasks are wanted in the states where it began."""

    __slots__ = ("sources", "wanted")

    def __init__(self, source: Any) -> None:
        self.sources = [source]
        self.wanted: set[int] = set()


class Trails:
    """All trails. A state has `edges` by number of the chosen task, `alive` (a set of tasks) and `trails`, a dict.

    ``want(state, task)`` is called when `task` should be tried in `state`.
    """

    def __init__(self, want: Callable[[Any, int], None]) -> None:
        self._want = want
        self._fresh: list[tuple[Any, Trail]] = []
        self._bits: dict[int, int] = {}

    def bit(self, key: int) -> int:
        """The set of this one key."""
        return self._bits.setdefault(key, 1 << len(self._bits))

    def touched(self, accesses: Accesses) -> Touched:
        """`accesses` as sets of keys."""
        if accesses is None:
            return Touched(writes=ALL)
        sets = [0, 0, 0]
        for key, mode in accesses:
            sets[mode] |= self.bit(key)
        reads, adds, writes = sets
        return Touched(reads, adds, writes)

    def add(self, state: Any, number: int, edge: Edge) -> None:
        """A new edge: its own trail goes out, and those in `state` go on along it."""
        state.edges[number] = edge
        first = edge.events[0]
        knowing = 1 << number | first.born
        trail = Trail(first.touched, first.device, first.waiters, knowing, NOTHING, first.released, NOBODY, 0)
        self._follow(trail, edge, 1, state)
        for trail, mark in list(state.trails.items()):
            self._follow(trail, edge, 0, mark)

    def spread(self) -> None:
        """Let all trails go on as far as the graph is known."""
        while self._fresh:
            state, trail = self._fresh.pop()
            mark = state.trails[trail]
            for edge in list(state.edges.values()):
                self._follow(trail, edge, 0, mark)

    def _follow(self, trail: Trail, edge: Edge, start: int, source: Any) -> None:
        """Along `edge`, from its event number `start`. `source`: a mark, or the state where the trail begins."""
        step, device, waiters, knowing, since, released, first, unnoticed = trail
        for task, touched, waits, _, last, _, unlocked, born in edge.events[start:] if start else edge.events:
            if unnoticed:
                if touched.looks & step.states:
                    self._race_each(source, unnoticed)
                    unnoticed = 0
                elif touched.stores & step.states:
                    unnoticed = 0  # nobody ever will
            if not knowing >> task & 1:
                direct = touched.notices(step)
                in_order = touched.notices(since)
                if direct and (waits or not in_order):
                    if device or not last:
                        self._race(source, first if first != NOBODY else task)
                elif touched.leaves_another(step) & ~since.stores:
                    unnoticed |= 1 << (first if first != NOBODY else task)
                if not direct and not in_order and not (touched.reads | touched.adds | touched.writes) & released:
                    if first == NOBODY:
                        first = task
                    continue
                knowing |= 1 << task
            knowing |= born
            since = since.and_then(touched)
            released |= unlocked
        for task, touched in edge.pending:
            if unnoticed and touched.looks & step.states:
                self._race_each(source, unnoticed)
            if not knowing >> task & 1 and touched.notices(step):
                self._race(source, first if first != NOBODY else task)
        state = edge.following
        if state is None:
            return
        strangers = state.alive & ~knowing
        if not strangers or not (waiters & strangers or step.outlasts(since)):
            # What collides with the step collides with a later one that knows of it.
            if not unnoticed:
                return
            trail = Trail(Touched(stores=step.states), False, 0, ALL, NOTHING, 0, NOBODY, unnoticed)
        else:
            trail = Trail(step, device, waiters, knowing, since.condensed(), released & ~since.writes, first, unnoticed)
        mark = state.trails.get(trail)
        if mark is None:
            state.trails[trail] = _Mark(source)
            self._fresh.append((state, trail))
        else:
            mark.sources.append(source)
            for task in list(mark.wanted):
                self._race(source, task)

    def _race_each(self, source: Any, tasks: int) -> None:
        for task in range(tasks.bit_length()):
            if tasks >> task & 1:
                self._race(source, task)

    def _race(self, source: Any, task: int) -> None:
        """Want `task` in every state where a trail began that led to `source`."""
        waiting = [source]
        while waiting:
            source = waiting.pop()
            if not isinstance(source, _Mark):
                self._want(source, task)
            elif task not in source.wanted:
                source.wanted.add(task)
                waiting += source.sources
