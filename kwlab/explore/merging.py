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
from itertools import cycle

from kwlab.explore.depth_first import guarantee
from kwlab.explore.state import StateKeys
from kwlab.explore.strategy import non_deterministic, preferred, signature
from kwlab.runtime.model import Ending, ModelRuntime
from kwlab.runtime.model_objects import ModelTask
from kwlab.runtime.model_ops import LOOKS

__all__ = ["Merging"]

LOOK_AHEAD = 200  # states that are looked at to find the nearest open one


class State:
    """A state in which more than one task can go on."""

    __slots__ = ("depth", "following", "gone_round", "parent", "seen", "untried")

    def __init__(self, seen: list[int], untried: list[int], parent: "tuple[State, int] | None") -> None:
        self.seen = seen
        self.untried = untried  # numbers of tasks, the next to be tried last
        self.following: dict[int, State | None] = {}  # by chosen task; None: it ended before another choice
        self.parent = parent  # the choice that led here first
        self.gone_round = False
        self.depth: int = parent[0].depth + 1 if parent is not None else 0


class Merging:
    """All states; with `bound`, all that are reached with at most so many preemptions."""

    every_step = False

    def __init__(self, bound: int | None = None) -> None:
        self.bound = bound
        self.cut = False  # the bound kept something from being tried
        self._keys = StateKeys()
        self.states = 0
        self._known: dict[object, State] = {}
        self._spent: dict[tuple[bytes, int], int] = {}
        self._frontier: list[tuple[int, int, State]] = []  # every state with something untried, the nearest first
        self._root: State | None = None
        self._plan: list[int] = []  # choices that lead to something untried, the next one last
        self._came_from: tuple[State, int] | None = None
        self._visited: dict[State, tuple[int, int]] = {}  # how many choices and steps came before it
        self._choices: list[tuple[State, int]] = []
        self._round: Iterator[int] | None = None  # the choices of a round that is gone for ever
        self._runtime: ModelRuntime | None = None
        self._preemptions = 0

    @property
    def opaque(self) -> list[str]:
        """Why some states could not be told apart, so that more was tried than need be."""
        return list(self._keys.opaque)

    def begin(self, runtime: ModelRuntime) -> None:
        self._runtime = runtime
        self._came_from = None
        self._visited = {}
        self._choices = []
        self._round = None
        self._preemptions = 0

    def choose(self, enabled: list[ModelTask], me: ModelTask) -> ModelTask | None:
        if self._round is not None:
            number = next(self._round)
            return next((task for task in enabled if task.id == number), None)
        state = self._arrive(enabled, me)
        if state is None:
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
            if self._root is None:
                self._root = self._new_state(seen, enabled, me)
            state: State | None = self._root
        elif origin[1] in origin[0].following:
            state = origin[0].following[origin[1]]
        else:
            return self._discover(origin, seen, enabled, me)
        assert self._runtime is not None
        if state is None or state.seen != seen:
            raise non_deterministic(state.seen if state is not None else [], seen, self._runtime.all_tasks)
        return state

    def _discover(
        self, origin: tuple[State, int], seen: list[int], enabled: list[ModelTask], me: ModelTask
    ) -> State | None:
        assert self._runtime is not None
        plain = self._keys.key(self._runtime, me)
        key: object = plain
        if plain is not None and self.bound is not None:
            # Who ran last decides what is a preemption, and what was spent what may still come.
            least = self._spent.get((plain, me.id), self._preemptions)
            if least < self._preemptions:
                return None
            self._spent[plain, me.id] = least
            key = (plain, me.id, self._preemptions)
        state = self._known.get(key) if plain is not None else None
        if state is None:
            state = self._new_state(seen, enabled, me)
            if plain is not None:
                self._known[key] = state
        origin[0].following[origin[1]] = state
        return state

    def _new_state(self, seen: list[int], enabled: list[ModelTask], me: ModelTask) -> State:
        if self.bound is not None and self._preemptions >= self.bound and me in enabled:
            self.cut = True
            untried = [me.id]
        else:
            untried = [task.id for task in reversed(preferred(enabled, me))]
        state = State(seen, untried, self._came_from)
        self.states += 1
        heappush(self._frontier, (state.depth, self.states, state))
        return state

    def _way_ahead(self, start: State) -> list[int]:
        """The choices from `start` to the nearest state with something untried, in reverse; [] if none is near."""
        came: dict[State, tuple[State, int]] = {}
        waiting = deque([start])
        while waiting and len(came) < LOOK_AHEAD:
            state = waiting.popleft()
            for number, following in state.following.items():
                if following is None or following in came or following in self._visited:
                    continue
                came[following] = (state, number)
                if following.untried:
                    way = []
                    while following is not start:
                        following, number = came[following]
                        way.append(number)
                    return way
                waiting.append(following)
        return []

    def end(self, ending: Ending) -> bool:
        if self._came_from is not None:
            state, number = self._came_from
            if number not in state.following:
                state.following[number] = None
        frontier = self._frontier
        while frontier and not frontier[0][2].untried:
            heappop(frontier)
        if not frontier:
            return False
        target = frontier[0][2]
        self._plan = []
        while target.parent is not None:
            target, number = target.parent
            self._plan.append(number)
        return True

    def guarantee(self) -> str:
        return guarantee(self.bound if self.cut else None)
