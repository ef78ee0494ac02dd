"""Each state once, and of the choices in it only those whose order with what follows can be noticed.

Merging runs every order of steps, DPOR runs a state again for every way to it. This is DPOR on the graph of states: in
a new state one task is tried, and another only once a step that it leads to is found to race with one made here
(`kwlab.explore.trails` looks along all ways through the graph, so it does not matter which execution found which part).

Two things are needed beyond DPOR. What is touched is told by keys, and keys are given in the order in which things are
made: so they belong to the state here. And what only goes round could put off the others for ever: so in a state that
lies on a round everybody is tried.
"""

from kwlab.explore.dependency import EVERYTHING, accesses_of, aside_accesses, comes_last
from kwlab.explore.frames import READABLE, Opaque, result_is_dropped
from kwlab.explore.merging import Merging, State
from kwlab.explore.rounds import strongly_connected
from kwlab.explore.sleep_sets import UP_TO_ORDER
from kwlab.explore.state import StateKeys
from kwlab.explore.touched import ALL, Touched
from kwlab.explore.trails import Edge, Event, Trails
from kwlab.runtime import model_ops as ops
from kwlab.runtime.base import probes
from kwlab.runtime.model import Ending, ModelRuntime
from kwlab.runtime.model_objects import ModelSpinLock, ModelTask
from kwlab.runtime.states import TASK_DEAD

__all__ = ["MergingDpor"]

# The step that is tried first should be one that nobody else is likely to notice: looks, then what concerns a task
# alone, then what concerns others, and locks last.
_GROUPS = (
    (ops.TEST_BIT, ops.READ_STATE, ops.CLOCK, ops.READ, ops.TEST_COMPLETION),
    (ops.SCHEDULE, ops.EXIT),
    (ops.SET_STATE, ops.STORE_STATE),
    (ops.WAIT, ops.SET_BIT),
    (ops.WAKE, ops.COMPLETE, ops.WRITE),
    (ops.PROGRAM,),
    (ops.LOCK,),
    (ops.DEVICE,),
)
_ORDER = {op: rank for rank, group in enumerate(_GROUPS) for op in group}

_OF_A_STATE = (ops.SET_STATE, ops.STORE_STATE, ops.READ_STATE, ops.WAKE, ops.SCHEDULE, ops.EXIT)
_OF_NO_WAIT = (ops.LOCK, ops.TEST_BIT, ops.SET_BIT, ops.READ, ops.WRITE, ops.CLOCK)


class _State(State):
    """`withheld`: the tasks that could go on and need not be tried, as far as is known."""

    __slots__ = ("alive", "before", "edges", "trails", "withheld")

    def __init__(self, seen: list[int], order: list[int], parent: "tuple[State, int] | None", alive: int) -> None:
        super().__init__(seen, order[:1], parent)
        self.withheld = order[1:]
        self.alive = alive
        self.before: list[_State] = []
        self.edges: dict[int, Edge] = {}
        self.trails: dict[object, object] = {}


class MergingDpor(Merging):
    """All states that differ in more than the order of steps that cannot notice each other.

    Blind to plain Python objects, such as a list, that several tasks change or look at with no operation of kwlab to
    put them in order: that counts as what nobody can notice.
    """

    every_step = True
    reduces = True

    def __init__(self) -> None:
        super().__init__()
        self._keys = StateKeys(identities=True)
        self._trails = Trails(self._want)
        self._events: list[Event] | None = None  # of the edge that is gone for the first time
        self._held: list[ModelSpinLock] = []  # by who does the last event, when it was announced
        self._tasks = 0  # how many there were then
        self._asides = 0

    def begin(self, runtime: ModelRuntime) -> None:
        super().begin(runtime)
        self._events = None

    def choose(self, enabled: list[ModelTask], me: ModelTask) -> ModelTask | None:
        if self._events is not None:
            self._complete_event(me)
        if len(enabled) == 1:
            if self._events is not None:
                self._begin_event(enabled[0])
            return enabled[0]
        task = super().choose(enabled, me)
        origin = self._came_from
        self._events = None
        if task is not None and origin is not None and self._round is None and origin[1] not in origin[0].following:
            self._events = []
            self._begin_event(task)
        return task

    def _begin_event(self, task: ModelTask) -> None:
        runtime = self._runtime
        assert runtime is not None
        assert self._events is not None
        if task.op in _OF_A_STATE:
            waiters = 1 << task.target.id
        else:
            waiters = 0 if task.op in _OF_NO_WAIT else ALL
        waits = ops.LOCK < task.op <= ops.DEVICE
        touched, device = self._touched(task), task.op == ops.DEVICE
        self._events.append(Event(task.id, touched, waits, device, device and comes_last(task), waiters, 0, 0))
        self._held, self._tasks, self._asides = task.held[:], len(runtime.all_tasks), len(runtime.asides)

    def _touched(self, task: ModelTask) -> Touched:
        """What the operation that `task` has announced touches."""
        op, target, trails = task.op, task.target, self._trails
        if READABLE:
            if target is task and (op == ops.SET_STATE or (op == ops.STORE_STATE and task.argument is not None)):
                return Touched(stores=trails.bit(task.key))
            if op == ops.SCHEDULE:
                return Touched(ready=trails.bit(task.key))
            # A probe is told of every wake-up what state it found.
            if op == ops.WAKE and not probes and not target._state & TASK_DEAD and self._result_is_dropped(task):
                key = trails.bit(target.key)
                return Touched(wakes=key) if target._state else Touched(awake=key)
        return trails.touched(accesses_of(task))

    def _result_is_dropped(self, task: ModelTask) -> bool:
        assert self._runtime is not None
        me = self._runtime.running
        assert me is not None
        try:
            return result_is_dropped(self._keys.frames(task, me))
        except Opaque:
            return False

    def _complete_event(self, me: ModelTask) -> None:
        """The last event is over: what it did besides its operation is known now."""
        runtime = self._runtime
        assert runtime is not None
        assert self._events is not None
        event, trails = self._events[-1], self._trails
        more = trails.touched(tuple(aside_accesses(op, target) for op, target in runtime.asides[self._asides :]))
        self._events[-1] = event._replace(
            touched=event.touched.and_then(more),
            released=sum(trails.bit(lock.key) for lock in self._held if lock.owner is not me),
            born=(1 << len(runtime.all_tasks)) - (1 << self._tasks),
        )

    def _arrive(self, enabled: list[ModelTask], me: ModelTask) -> State | None:
        origin, events = self._came_from, self._events
        state = super()._arrive(enabled, me)
        if origin is not None and events is not None and state is not None:
            self._add_edge(origin, Edge(state, events, []))
        return state

    def _new_state(self, seen: list[int], enabled: list[ModelTask], me: ModelTask) -> State:
        assert self._runtime is not None
        order = sorted(enabled, key=lambda task: (_ORDER[task.op], task is not me))
        alive = sum(1 << task.id for task in self._runtime.live)
        state = _State(seen, [task.id for task in order], self._came_from, alive)
        return self._remember(state)

    def _add_edge(self, origin: tuple[State, int], edge: Edge) -> None:
        state, number = origin
        assert isinstance(state, _State)
        if isinstance(edge.following, _State):
            edge.following.before.append(state)
        if edge.events[0].touched.writes == ALL:
            self._want_all(state)
        self._trails.add(state, number, edge)

    def _want(self, state: _State, task: int) -> None:
        """`task` is to be tried in `state`, if it could go on there."""
        if task not in state.withheld:
            return
        state.withheld.remove(task)
        state.untried.append(task)
        self._open(state)
        waiting = [state]
        while waiting:
            state = waiting.pop()
            if state.exhausted:
                state.exhausted = False
                waiting += state.before

    def _want_all(self, state: _State) -> None:
        for task in state.withheld[:]:
            self._want(state, task)

    def end(self, ending: Ending) -> bool:
        origin = self._came_from
        if origin is not None and self._events is not None and origin[1] not in origin[0].following:
            origin[0].following[origin[1]] = None
            self._add_edge(origin, self._last_edge(ending))
        self._events = None
        self._trails.spread()
        if self._nearest() is None:
            self._try_everybody_on_rounds()
        return super().end(ending)

    def _last_edge(self, ending: Ending) -> Edge:
        runtime, events = self._runtime, self._events
        assert runtime is not None
        assert events is not None
        if ending.kind not in ("done", "stuck"):
            # It ended what everybody else could have done, so it collides with all of it.
            events[-1] = events[-1]._replace(touched=self._trails.touched(EVERYTHING))
            return Edge(None, events, [])
        self._complete_event(runtime.all_tasks[events[-1].task])
        pending = []
        for task in runtime.live:
            accesses = accesses_of(task)
            if task.op <= ops.DEVICE and accesses is not None:
                accesses = accesses[:1]  # what it waits for; the rest it would touch only if it went on
            pending.append((task.id, self._trails.touched(accesses)))
        return Edge(None, events, pending)

    def _try_everybody_on_rounds(self) -> None:
        for part in strongly_connected(self._all[0]) if self._all else ():
            if len(part) > 1 or part[0] in part[0].following.values():
                for state in part:
                    self._want_all(state)

    def guarantee(self) -> str:
        words = UP_TO_ORDER
        return words.replace("interleavings", "fair interleavings") if self.impatient else words
