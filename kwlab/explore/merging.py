"""Every interleaving, each state once: a walk over the graph of all states.

Where two executions have come to the same state, all that can follow is the same. So the states and the choices
between them make a graph, and a search is complete once every choice in it was taken. How many interleavings lead to a
state does not count any more, only how many states there are.

An execution that comes back to a state it has been in could go round for ever. That is a bug if nobody who could go on
is left out (a livelock), or if one task goes round alone and never gives way (a soft lockup): such a round is followed
up to the step limit, so that the verdict is that of an execution and can be replayed.

An execution can only start at the beginning. So that it is worth its way, it does not stop at a state that is known:
it goes on to the nearest choice that nobody has taken yet, and ends where there is none ahead.
"""

from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count, cycle

from kwlab.explore.depth_first import guarantee
from kwlab.explore.patience import Patience
from kwlab.explore.rounds import fair_round
from kwlab.explore.state import StateKeys
from kwlab.explore.strategy import non_deterministic, preferred, signature
from kwlab.runtime.model import Ending, ModelRuntime
from kwlab.runtime.model_objects import ModelTask
from kwlab.runtime.model_ops import LOOKS

__all__ = ["Merging"]

LOOK_AHEAD = 2_000  # states that are looked at to find the nearest open one


class State:
    """A state in which more than one task can go on."""

    __slots__ = ("depth", "exhausted", "following", "gone_round", "parent", "seen", "untried")

    def __init__(self, seen: list[int], untried: list[int], parent: "tuple[State, int] | None") -> None:
        self.seen = seen
        self.untried = untried  # numbers of tasks, the next to be tried last
        self.following: dict[int, State | None] = {}  # by chosen task; None: it ended before another choice
        self.exhausted = False  # nothing is untried here, nor anywhere ahead
        self.parent = parent  # the choice that led here first
        self.gone_round = False
        self.depth: int = parent[0].depth + 1 if parent is not None else 0

    def way(self) -> list[int]:
        """The choices that lead here from the beginning, the first one last."""
        choices = []
        state = self
        while state.parent is not None:
            state, number = state.parent
            choices.append(number)
        return choices


class Merging:
    """All states; with `bound`, all that are reached with at most so many preemptions."""

    every_step = False

    def __init__(self, bound: int | None = None) -> None:
        self.bound = bound
        self.cut = False  # the bound kept something from being tried
        self.impatient = False  # so did `Patience`
        self._keys = StateKeys()
        self._patience = Patience()
        self._all: list[State] = []
        self._known: dict[object, State] = {}
        self._spent: dict[tuple[object, int], int] = {}
        self._frontier: list[tuple[int, int, State]] = []  # every state with something untried, the nearest first
        self._order = count()  # among those that are as near
        self._plan: list[int] = []  # choices that lead to something untried, the next one last
        self._came_from: tuple[State, int] | None = None
        self._visited: dict[State, tuple[int, int]] = {}  # how many choices and steps came before it
        self._choices: list[tuple[State, int]] = []
        self._round: Iterator[int] | None = None  # the choices of a round that is gone for ever
        self._forever: list[int] = []  # such a round, to be gone once the plan is done
        self._looked = False  # for a fair round in the complete graph
        self._runtime: ModelRuntime | None = None
        self._preemptions = 0
        self._endless: State | None = None

    @property
    def states(self) -> int:
        """How many different states were met."""
        return len(self._all)

    @property
    def opaque(self) -> list[str]:
        """Why some states could not be told apart, so that more was tried than need be."""
        return list(self._keys.opaque)

    def begin(self, runtime: ModelRuntime) -> None:
        self._runtime = runtime
        self._patience.begin(runtime)
        self._came_from = None
        self._visited = {}
        self._choices = []
        self._round = None
        self._preemptions = 0

    def choose(self, enabled: list[ModelTask], me: ModelTask) -> ModelTask | None:
        if self._round is not None:
            number = next(self._round)
            return next((task for task in enabled if task.id == number), None)
        if self._patience.lost(enabled, me):
            self.impatient = True
            return None
        state = self._arrive(enabled, me)
        if state is None:
            return None
        if state is self._endless:
            assert self._runtime is not None
            self._runtime.ending = Ending("endless", self._sentence(state), me)
            return None
        if state in self._visited:
            return self._again(state, enabled)
        assert self._runtime is not None
        self._visited[state] = len(self._choices), len(self._runtime.schedule)
        if state.untried:
            self._plan = []
            number = me.id if me.id in state.untried else state.untried[-1]
            state.untried.remove(number)
        else:
            if not self._plan and self._forever:
                self._round = cycle(self._forever)
                self._forever = []
                return self.choose(enabled, me)
            if not self._plan:
                self._plan = self._way_ahead(state)
                if not self._plan:
                    return None
            number = self._plan.pop()
        self._came_from = (state, number)
        self._choices.append(self._came_from)
        if number != me.id and me in enabled:
            self._preemptions += 1
        return next(task for task in enabled if task.id == number)

    def _again(self, state: State, enabled: list[ModelTask]) -> ModelTask | None:
        """This execution has been in `state` before. Go round for ever if that is a bug; else it ends here."""
        assert self._runtime is not None
        choice, step = self._visited[state]
        taken = self._choices[choice:]
        going = set(self._runtime.schedule[step:])
        able = {entry >> 8 for passed, _ in taken for entry in passed.seen}
        if not able <= going and (len(going) > 1 or not self._hogs(self._runtime.all_tasks[going.pop()], taken, step)):
            return None
        if state.gone_round:
            return None
        state.gone_round = True
        self._round = cycle([number for _, number in taken])
        number = next(self._round)
        return next(task for task in enabled if task.id == number)

    @staticmethod
    def _hogs(task: ModelTask, taken: "list[tuple[State, int]]", step: int) -> bool:
        """True if `task`, alone in this round, does not pause in it, and does more than look at something."""
        done = {entry & 0xFF for passed, number in taken for entry in passed.seen if entry >> 8 == number}
        return task.yielded <= step and not done <= LOOKS

    def _arrive(self, enabled: list[ModelTask], me: ModelTask) -> State | None:
        """The state that this is; None if a way with fewer preemptions leads here too."""
        seen = signature(enabled)
        origin = self._came_from
        if origin is None:
            state = self._all[0] if self._all else self._new_state(seen, enabled, me)
        elif origin[1] in origin[0].following:
            known = origin[0].following[origin[1]]
            if known is None:
                return None
            state = known
        else:
            found = self._discover(seen, enabled, me)
            origin[0].following[origin[1]] = found
            if found is None:
                return None
            state = found
        if state.seen != seen:
            assert self._runtime is not None
            raise non_deterministic(state.seen, seen, self._runtime.all_tasks)
        return state

    def _discover(self, seen: list[int], enabled: list[ModelTask], me: ModelTask) -> State | None:
        assert self._runtime is not None
        plain = self._keys.key(self._runtime, me)
        if plain is None:
            return self._new_state(seen, enabled, me)
        key: object = (plain, self._patience.waits)
        if self.bound is not None:
            # Who ran last decides what is a preemption, and what was spent what may still come.
            least = self._spent.get((key, me.id), self._preemptions)
            if least < self._preemptions:
                return None
            self._spent[key, me.id] = self._preemptions
            key = (key, me.id, self._preemptions)
        state = self._known.get(key)
        if state is None:
            state = self._known[key] = self._new_state(seen, enabled, me)
        return state

    def _new_state(self, seen: list[int], enabled: list[ModelTask], me: ModelTask) -> State:
        if self.bound is not None and self._preemptions >= self.bound and me in enabled:
            self.cut = True
            untried = [me.id]
        else:
            untried = [task.id for task in reversed(preferred(enabled, me))]
        return self._remember(State(seen, untried, self._came_from))

    def _remember(self, state: State) -> State:
        self._all.append(state)
        self._open(state)
        return state

    def _open(self, state: State) -> None:
        """Something is untried in `state`."""
        heappush(self._frontier, (state.depth, next(self._order), state))

    def _way_ahead(self, start: State) -> list[int]:
        """The choices from `start` to the nearest state with something untried, in reverse; [] if none is near."""
        came: dict[State, tuple[State, int]] = {}
        waiting = deque([start])
        everything = True
        while waiting:
            if len(came) > LOOK_AHEAD:
                return []
            state = waiting.popleft()
            for number, following in state.following.items():
                if following is None or following.exhausted or following in came:
                    continue
                if following in self._visited:
                    everything = False  # not from here, in this execution, but perhaps from there
                    continue
                came[following] = (state, number)
                if following.untried:
                    way = []
                    while following is not start:
                        following, number = came[following]
                        way.append(number)
                    return way
                waiting.append(following)
        if everything:
            for state in came:
                state.exhausted = True
        return []

    def end(self, ending: Ending) -> bool:
        if self._came_from is not None:
            state, number = self._came_from
            state.following.setdefault(number, None)
        nearest = self._nearest()
        if nearest is not None:
            self._plan = nearest.way()
            return True
        if self._endless is None and self.bound is None:
            self._endless = self._without_end()
            if self._endless is not None:
                self._plan = self._endless.way()
                return True
        if not self._looked and self._all and self.bound is None:
            self._looked = True
            found = fair_round(self._all[0])
            if found is not None:
                target, self._forever = found
                self._plan = target.way()
                return True
        return False

    def _nearest(self) -> State | None:
        """The nearest state with something untried, if there is one."""
        frontier = self._frontier
        while frontier and not frontier[0][2].untried:
            heappop(frontier)
        return frontier[0][2] if frontier else None

    # ------------------------------------------------------------------------------- states from which nothing ends

    def _without_end(self) -> State | None:
        """The first state from which no execution ends, if there is one: all that can follow is in the graph."""
        before: dict[State, list[State]] = {state: [] for state in self._all}
        ending = []
        for state in self._all:
            for following in state.following.values():
                if following is None:
                    ending.append(state)
                else:
                    before[following].append(state)
        ends = set(ending)
        while ending:
            for state in before[ending.pop()]:
                if state not in ends:
                    ends.add(state)
                    ending.append(state)
        return min((state for state in self._all if state not in ends), key=lambda state: state.depth, default=None)

    def _sentence(self, state: State) -> str:
        assert self._runtime is not None
        ahead, waiting = {state}, [state]
        while waiting:
            for following in waiting.pop().following.values():
                if following is not None and following not in ahead:
                    ahead.add(following)
                    waiting.append(following)
        numbers = sorted({number for state in ahead for number in state.following})
        names = " and ".join(self._runtime.all_tasks[number].name for number in numbers)
        return f"{names} can go on for ever: whoever is chosen, the same {len(ahead)} states come again and again"

    def guarantee(self) -> str:
        words = guarantee(self.bound if self.cut else None)
        return words.replace("interleavings", "fair interleavings") if self.impatient else words
