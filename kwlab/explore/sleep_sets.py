"""Sleep sets: of executions that differ only in the order of independent steps, finish one.

When a task's step has been tried at some point, and then another task's is, and the two are independent, then trying
the first one's behind it would lead to what has been seen. So the task *sleeps* until a step comes that collides with
its own. If everybody who could go on sleeps, the execution is given up. (Godefroid, 1996.)
"""

from kwlab.explore.dependency import EVERYTHING, Accesses, accesses_of, aside_accesses, independent
from kwlab.explore.strategy import non_deterministic, preferred, signature
from kwlab.runtime.model import Ending, ModelRuntime
from kwlab.runtime.model_objects import ModelTask

__all__ = ["UP_TO_ORDER", "Node", "SleepSets"]

UP_TO_ORDER = "all interleavings, up to the order of steps that cannot notice each other"


class Node:
    """A step of the execution under way: who did it, who could have, and who need not be tried."""

    __slots__ = ("accesses", "asleep", "chosen", "enabled", "seen", "sleeping", "wanted")

    def __init__(self, seen: list[int], enabled: int, sleeping: dict[int, Accesses]) -> None:
        self.seen = seen
        self.enabled = enabled  # as a set of task numbers, like `asleep` and `wanted`
        self.sleeping = sleeping  # the sleeping tasks and what their steps touch
        self.asleep = 0
        for task in sleeping:
            self.asleep |= 1 << task
        self.wanted = 0
        self.chosen = 0
        self.accesses: Accesses = ()

    def tried(self) -> int:
        """The chosen task's step has been tried in every way; returns who is still to be tried."""
        self.sleeping[self.chosen] = self.accesses
        self.asleep |= 1 << self.chosen
        return self.wanted & ~self.asleep


class SleepSets:
    """All interleavings, but those that differ only in the order of independent steps are given up on the way.

    Blind to plain Python objects, such as a list, that several tasks change or look at with no operation of kwlab to
    put them in order: that counts as what nobody can notice.
    """

    every_step = True
    reduces = True
    states = 0

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._again = False  # the last node's chosen task is a new one
        self._asides = 0  # of the runtime's, how many are accounted for
        self._runtime: ModelRuntime | None = None

    def begin(self, runtime: ModelRuntime) -> None:
        if self._nodes:
            before, decided = self._runtime, len(self._nodes) - 1
            assert before is not None
            runtime.follow(before.schedule[:decided], before.operations[:decided])
            self._again = True
        self._asides = 0
        self._runtime = runtime

    def choose(self, enabled: list[ModelTask], me: ModelTask) -> ModelTask | None:
        runtime = self._runtime
        assert runtime is not None
        if self._again:
            self._again = False
            self._asides = len(runtime.asides)  # those so far belong to steps done before
            node = self._nodes[-1]
            seen = signature(enabled)
            if node.seen != seen:
                raise non_deterministic(node.seen, seen, runtime.all_tasks)
            task = runtime.all_tasks[node.chosen]
        else:
            if self._asides < len(runtime.asides):
                self._account_for_asides(runtime)
            parent = self._nodes[-1] if self._nodes else None
            sleeping: dict[int, Accesses] = {}
            if parent is not None and parent.asleep:
                touched = parent.accesses
                sleeping = {
                    other: accesses for other, accesses in parent.sleeping.items() if independent(accesses, touched)
                }
            able = 0
            for task in enabled:
                able |= 1 << task.id
            node = Node(signature(enabled), able, sleeping)
            if me.id not in sleeping and able >> me.id & 1:
                task = me
            else:
                for task in preferred(enabled, me):
                    if task.id not in sleeping:
                        break
                else:
                    return None
            node.chosen = task.id
            self._nodes.append(node)
        node.accesses = accesses_of(task)
        self._take(node, task)
        return task

    def _account_for_asides(self, runtime: ModelRuntime) -> None:
        more = tuple(aside_accesses(op, target) for op, target in runtime.asides[self._asides :])
        self._asides = len(runtime.asides)
        if not self._nodes:
            return  # before the first step is before everything
        node = self._nodes[-1]
        if node.accesses is not None:
            node.accesses += more
        self._add(more)

    def _take(self, node: Node, task: ModelTask) -> None:
        """`task` is about to do the step of `node`, the last one."""
        node.wanted = node.enabled

    def _add(self, accesses: tuple[tuple[int, int], ...]) -> None:
        """The last step touched this too."""

    def end(self, ending: Ending) -> bool:
        runtime = self._runtime
        assert runtime is not None
        nodes = self._nodes
        if nodes:
            if self._asides < len(runtime.asides):
                self._account_for_asides(runtime)
            if ending.kind not in ("done", "stuck", "pruned"):
                # It ended what everybody else could have done, so it collides with all of it.
                nodes[-1].accesses = EVERYTHING
                nodes[-1].wanted = nodes[-1].enabled
            self._finish(ending)
        while nodes:
            left = nodes[-1].tried()
            if left:
                nodes[-1].chosen = (left & -left).bit_length() - 1
                return True
            nodes.pop()
        return False

    def _finish(self, ending: Ending) -> None:
        """The execution is over."""

    def guarantee(self) -> str:
        return UP_TO_ORDER
