"""Every interleaving, one after the other: depth first, with a bound on preemptions if one is wanted."""

from kwlab.explore.strategy import NonDeterministicError, preferred, signature
from kwlab.runtime.model import Ending, ModelRuntime
from kwlab.runtime.model_objects import ModelTask

__all__ = ["Choice", "DepthFirst", "guarantee", "non_deterministic"]


class Choice:
    """A point where more than one task was enabled: the tasks still to be tried there, the one under way last."""

    __slots__ = ("seen", "todo")

    def __init__(self, seen: list[int], todo: list[int]) -> None:
        self.seen = seen
        self.todo = todo


class DepthFirst:
    """All schedules; with `bound`, all with at most so many preemptions (a switch away from an enabled task)."""

    every_step = False
    states = 0

    def __init__(self, bound: int | None = None) -> None:
        self.bound = bound
        self.cut = False  # the bound kept something from being tried
        self._path: list[Choice] = []
        self._depth = 0
        self._preemptions = 0
        self._tasks: list[ModelTask] = []

    def begin(self, runtime: ModelRuntime) -> None:
        self._tasks = runtime.all_tasks
        self._depth = self._preemptions = 0

    def choose(self, enabled: list[ModelTask], me: ModelTask) -> ModelTask | None:
        seen = signature(enabled)
        if self._depth < len(self._path):
            choice = self._path[self._depth]
            if choice.seen != seen:
                raise non_deterministic(choice.seen, seen, self._tasks)
        else:
            choice = Choice(seen, self._alternatives(enabled, me))
            self._path.append(choice)
        self._depth += 1
        chosen = self._tasks[choice.todo[-1]]
        if chosen is not me and me in enabled:
            self._preemptions += 1
        return chosen

    @property
    def frontier(self) -> int:
        """How many branches are known and not yet tried."""
        return sum(len(choice.todo) - 1 for choice in self._path)

    @property
    def preemptions(self) -> int:
        """Of the execution under way, or just ended."""
        return self._preemptions

    def _alternatives(self, enabled: list[ModelTask], me: ModelTask) -> list[int]:
        if self.bound is not None and self._preemptions >= self.bound and me in enabled:
            self.cut = True
            return [me.id]
        return [task.id for task in reversed(preferred(enabled, me))]

    def end(self, ending: Ending) -> bool:
        path = self._path
        while path:
            path[-1].todo.pop()
            if path[-1].todo:
                return True
            path.pop()
        return False

    def guarantee(self) -> str:
        return guarantee(self.bound if self.cut else None)


def guarantee(bound: int | None) -> str:
    """All interleavings, or all within a bound, in words."""
    if bound is None:
        return "all interleavings"
    return f"all interleavings with at most {bound} preemption{'' if bound == 1 else 's'}"


def non_deterministic(before: list[int], now: list[int], tasks: list[ModelTask]) -> NonDeterministicError:
    """The error for a scenario that went another way than the last time."""

    def names(signature: list[int]) -> str:
        return ", ".join(tasks[entry >> 8].name if entry >> 8 < len(tasks) else "?" for entry in signature)

    return NonDeterministicError(
        f"the scenario is not deterministic: after the same choices, the tasks that could go on were [{names(before)}] "
        f"and now are [{names(now)}], or their next operations differ. Does it keep something from one run to the next "
        "(a global list, a cache), or read time, chance or the outside world?"
    )
