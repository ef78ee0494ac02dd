"""A failing schedule made easy to read: with as few preemptions as can show the bug, then as few steps.

First greedily: a block of steps of one task is moved next to another block of the same task, as long as the same kind
of bug still comes. That leaves two or three preemptions of a dozen. Then all interleavings with fewer preemptions than
that are searched, as long as that is cheap: either one of them fails, or it is proven that none does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from kwlab.explore.ctrl_c import CtrlC
from kwlab.explore.depth_first import DepthFirst
from kwlab.explore.engine import Execution, Options, Scenario, Search, exploring, run_once, search
from kwlab.explore.problems import Bug
from kwlab.explore.replay import Follow, signed
from kwlab.explore.schedule import Schedule

__all__ = ["Minimised", "minimise"]

BUDGET = 60_000  # steps of the model that a minimisation may take, by default: about 0.1 s


@dataclass(frozen=True, slots=True)
class Minimised:
    """The result: a schedule, its bug, and how many preemptions it has. `proven`: no schedule with fewer fails so."""

    schedule: Schedule
    bug: Bug
    preemptions: int
    proven: bool


def minimise(
    scenario: Scenario, schedule: Sequence[int], bug: Bug, options: Options | None = None, budget: int = BUDGET
) -> Minimised | None:
    """The simplest schedule found that leads to a bug of the same kind as `bug`, to which `schedule` leads.

    `budget` counts steps of the model, so the same input gives the same result. None if `schedule`, run again, does
    not lead to that kind of bug: one that no single execution shows.
    """
    options = options or Options()
    with exploring(scenario, options) as interrupt:
        return _Minimiser(scenario, bug, options, budget, interrupt).minimise(schedule)


class _Minimiser:
    def __init__(self, scenario: Scenario, bug: Bug, options: Options, budget: int, interrupt: CtrlC) -> None:
        self.scenario = scenario
        self.kind = bug.kind
        self.options = options
        self.budget = budget
        self.interrupt = interrupt

    @property
    def done(self) -> bool:
        """The budget is used up, or somebody is tired of waiting."""
        return self.budget <= 0 or self.interrupt.pressed

    def minimise(self, schedule: Sequence[int]) -> Minimised | None:
        best = self._try(schedule)
        if best is None:
            return None
        while (better := self._merged(best)) is not None:
            best = better
        for bound in range(best.preemptions + 1):
            found, complete = self._searched(bound, best)
            if found is not None:
                best = replace(found, proven=True)  # all smaller bounds were searched
                break
            if not complete:
                break
            if bound == best.preemptions - 1:
                best = replace(best, proven=True)
        return replace(best, schedule=signed(self.scenario, best.schedule, self.options))

    def _try(self, schedule: Sequence[int]) -> Minimised | None:
        """Run along `schedule`, more or less; the execution that this became, if it fails as wanted."""
        strategy = Follow(schedule, strict=False)
        execution = run_once(self.scenario, strategy, self.options)
        self.budget -= len(execution.schedule)
        return self._as_wanted(execution, strategy.preemptions)

    def _as_wanted(self, execution: Execution, preemptions: int) -> Minimised | None:
        bug = execution.bug
        if bug is None or bug.kind != self.kind:
            return None
        return Minimised(Schedule(execution.schedule), bug, preemptions, proven=preemptions == 0)

    def _merged(self, best: Minimised) -> Minimised | None:
        """The first simpler schedule in which two blocks of one task have become one."""
        for candidate in _mergers(best.schedule):
            if self.done:
                return None
            found = self._try(candidate)
            if found is not None and _size(found) < _size(best):
                return found
        return None

    def _searched(self, bound: int, best: Minimised) -> tuple[Minimised | None, bool]:
        """The shortest failing schedule with at most `bound` preemptions that is simpler than `best`, and whether all
        were searched."""
        found: list[Minimised] = []
        strategy = DepthFirst(bound)

        def after(execution: Execution, so_far: Search) -> bool:
            self.budget -= len(execution.schedule)
            wanted = self._as_wanted(execution, strategy.preemptions)
            if wanted is not None and _size(wanted) < min(_size(one) for one in (best, *found)):
                found.append(wanted)
            return self.done

        complete = search(self.scenario, strategy, self.options, stop_at_bug=False, after=after).complete
        return (found[-1] if found else None), complete


def _size(candidate: Minimised) -> tuple[int, int, int]:
    """What makes a schedule hard to read, most important first."""
    blocks = sum(1 for _ in groupby(candidate.schedule))
    return candidate.preemptions, len(candidate.schedule), blocks


def _mergers(schedule: Sequence[int]) -> Iterator[list[int]]:
    """Schedules in which one block of steps was moved next to another one of its task."""
    blocks = [list(steps) for _, steps in groupby(schedule)]
    for first, block in enumerate(blocks):
        later = next((n for n in range(first + 1, len(blocks)) if blocks[n][0] == block[0]), None)
        if later is None:
            continue
        # The later block comes earlier, or the earlier one later.
        for order in (
            [*blocks[: first + 1], blocks[later], *blocks[first + 1 : later], *blocks[later + 1 :]],
            [*blocks[:first], *blocks[first + 1 : later], block, *blocks[later:]],
        ):
            yield [task for steps in order for task in steps]
