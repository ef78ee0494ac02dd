"""Dynamic partial-order reduction: run one execution of each kind, and find from it what the other kinds are.

Two executions are of one kind if they differ only in the order of independent steps. Every execution is searched for
*races*: pairs of colliding steps that could have come the other way round. For each, some task is noted at the earlier
step that leads to the other order; nothing else is tried. (The clock-vector algorithm of Flanagan and Godefroid, 2005,
with the source sets of Abdulla, Aronis, Jonsson and Sagonas, 2014, and sleep sets.)
"""

from functools import partial

from kwlab.explore.dependency import EVERYTHING, accesses_of, detail_of
from kwlab.explore.happens_before import HappensBefore
from kwlab.explore.sleep_sets import Node, SleepSets
from kwlab.runtime.model import Ending, ModelRuntime
from kwlab.runtime.model_objects import ModelTask
from kwlab.runtime.model_ops import DEVICE, LOCK
from kwlab.runtime.states import TASK_RUNNING

__all__ = ["Dpor"]


class Dpor(SleepSets):
    """All interleavings, one for every order of steps that can notice each other.

    Blind to plain Python objects, such as a list, that several tasks change or look at with no operation of kwlab to
    put them in order: that counts as what nobody can notice.
    """

    def __init__(self) -> None:
        super().__init__()
        self._order = HappensBefore()

    def begin(self, runtime: ModelRuntime) -> None:
        super().begin(runtime)
        self._order.cut(max(len(self._nodes) - 1, 0))

    def _take(self, node: Node, task: ModelTask) -> None:
        order, runtime = self._order, task.runtime
        number, op, detail = task.id, task.op, detail_of(task)
        step = len(order)
        race = partial(self._try_before, number, step)
        past = order.races(number, order.before(number, task.born), node.accesses, op, detail, race)
        if op == LOCK and task.target.released >= 0:
            past |= order.past[task.target.released]
        if runtime.stores is not None:
            order.running[step] = sum(1 << other.id for other in runtime.live if other._state == TASK_RUNNING)
        order.push(number, past, node.accesses, op, detail, node.enabled)
        node.wanted |= node.enabled if node.accesses is EVERYTHING else 1 << number

    def _add(self, accesses: tuple[tuple[int, int], ...]) -> None:
        order = self._order
        step = len(order) - 1
        order.amend(accesses, partial(self._try_before, self._nodes[step].chosen, step))

    def _finish(self, ending: Ending) -> None:
        # What was announced and not done could have been done earlier. If the execution was given up, all who could go
        # on are asleep: of those that is known, not of the rest.
        runtime, order = self._runtime, self._order
        assert runtime is not None
        known = self._nodes[-1].asleep if ending.kind == "pruned" else 0
        for task in runtime.live:
            if task is ending.task or known >> task.id & 1:
                continue
            race = partial(self._try_before, task.id, len(order))
            past, accesses = order.before(task.id, task.born), accesses_of(task)
            if task.op <= DEVICE and accesses is not None:
                accesses = accesses[:1]  # what it waits for; the rest it would touch only if it went on
            order.races(task.id, past, accesses, task.op, detail_of(task), race)

    def _try_before(self, task: int, step: int, earlier: int, past: int) -> None:
        """`task`'s `step`, with its `past`, races with the `earlier` one: try an order in which it comes first, unless
        one is known.

        Such an order begins with any task whose first step behind `earlier` needs nothing else from behind it.
        """
        node, order = self._nodes[earlier], self._order
        known = node.wanted | node.asleep
        found = -1
        for other in order.steps_of:
            first = order.first(other, earlier)
            if first is None or first >= step:
                if other != task:
                    continue
                first, needs = step, past
            else:
                needs = order.past[first]
                if needs >> earlier & 1:
                    continue
            if (needs & (1 << first) - 1) >> earlier + 1:
                # Something else behind `earlier` must come first.
                continue
            if known >> other & 1:
                return
            if found < 0 or other == task:
                found = other
        # Who could not go on there gets in by somebody else's step.
        node.wanted |= 1 << found if node.enabled >> found & 1 else node.enabled
