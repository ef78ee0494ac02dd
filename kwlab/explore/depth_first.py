"""Every interleaving, one after the other: depth first, with a bound on preemptions if one is wanted."""

from kwlab.explore.strategy import non_deterministic, preferred, signature
from kwlab.runtime.model import Ending, ModelRuntime
from kwlab.runtime.model_objects import ModelTask

__all__ = ["Choice", "DepthFirst", "guarantee", "non_deterministic"]


class Choice:
    """A step at which more than one task was enabled: the tasks still to be tried there, the one under way last."""

    __slots__ = ("preemptions", "seen", "step", "todo")

    def __init__(self, step: int, preemptions: int, seen: list[int], todo: list[int]) -> None:
        self.step = step
        self.preemptions = preemptions  # before it
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
        self._again = False  # the last choice of the path is to be made anew
        self._preemptions = 0
        self._runtime: ModelRuntime | None = None

    def begin(self, runtime: ModelRuntime) -> None:
        if self._path:
            before, choice = self._runtime, self._path[-1]
            assert before is not None
            runtime.follow(before.schedule[: choice.step], before.operations[: choice.step])
            self._preemptions = choice.preemptions
            self._again = True
        self._runtime = runtime

    def choose(self, enabled: list[ModelTask], me: ModelTask) -> ModelTask | None:
        assert self._runtime is not None
        tasks = self._runtime.all_tasks
        seen = signature(enabled)
        if self._again:
            self._again = False
            choice = self._path[-1]
            if choice.seen != seen:
                raise non_deterministic(choice.seen, seen, tasks)
        else:
            step = len(self._runtime.schedule)
            choice = Choice(step, self._preemptions, seen, self._alternatives(enabled, me))
            self._path.append(choice)
        chosen = tasks[choice.todo[-1]]
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
