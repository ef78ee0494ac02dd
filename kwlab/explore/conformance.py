"""The scenarios that a real kernel answered, under the model: the same answers in every interleaving.

A scenario's gates and settle points say which orders it leaves open. Here all of those are played, or as many as the
budget allows, and each must give the answers in the file.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from types import ModuleType

from kwlab import worker as the_worker
from kwlab.errors import KernelWarning
from kwlab.explore.bounding import IterativeBounding
from kwlab.explore.engine import Execution, Options, Search, search
from kwlab.explore.merging import Merging
from kwlab.explore.merging_dpor import MergingDpor
from kwlab.explore.minimise import minimise
from kwlab.explore.problems import Bug
from kwlab.explore.quiet import stepped
from kwlab.explore.replay import signed
from kwlab.explore.strategy import Strategy
from kwlab.explore.verdict import Verdict
from kwlab.scenario.format import Scenario
from kwlab.scenario.observations import compare
from kwlab.scenario.runner import run
from kwlab.sched import current

__all__ = ["BUDGET", "play_under_the_model"]

BUDGET = 5_000  # executions for each scenario
ENOUGH = 1_500  # executions that merge equal states: what is not through by then has far too many of them
FEW = 3  # workers: with each that starts on its own, the states are many times as many
SCALED = 2  # how often an actor repeats its call, at most
# A scenario leaves threads at their gates and workers idle: the answers tell whether that is right.
LEFT = ("deadlock", "lost wake-up", "thread left behind", "work left behind")


@dataclass(slots=True)
class _Play:
    scenario: Scenario
    subject: ModuleType
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = self.scenario.name

    def answers(self) -> bool:
        """Play it once; the assertion says which answers differ. True at the end, so that no play is cut short."""
        runtime: object = current().runtime
        differences = compare(self.scenario, run(self.scenario, runtime, self.subject))  # type: ignore[arg-type]
        assert not differences, "; ".join(differences)
        return True


def play_under_the_model(scenario: Scenario, subject: ModuleType = the_worker, executions: int = BUDGET) -> Verdict:
    """Play `scenario` in all interleavings that its gates allow; where those have too many states, in all but for the
    order of steps that cannot notice each other; where that is too much, with no preemption, with at most one, two, and
    so on, until `executions` are used up. The verdict's `guarantee` says how far that went. Its bug says what differs
    from the file's answers.
    """
    small = _scaled(scenario)
    play = _Play(small, subject).answers
    options = Options(allow=frozenset(LEFT), warnings_end=False, prepare=stepped)
    verdict = Verdict(None, "", scenario=play, options=options)
    if small != scenario:
        verdict.notes.append(f"actors repeat their calls at most {SCALED} times, not as often as the file says")
    with warnings.catch_warnings():
        # They are noted, and compared by function.
        warnings.simplefilter("ignore", KernelWarning)
        for strategy, most in _ways(small, executions):
            left = min(most, executions - verdict.executions)
            found = search(play, strategy, options, executions=left, after=_to_the_end)
            verdict.executions += found.executions
            verdict.steps += found.steps
            verdict.states += strategy.states
            if found.bug is not None:
                simplest = minimise(play, found.schedule, found.bug, options)
                verdict.bug, verdict.schedule = found.bug, signed(play, found.schedule, options)
                if simplest is not None:
                    verdict.bug, verdict.schedule = simplest.bug, simplest.schedule
                break
            if found.complete or isinstance(strategy, IterativeBounding):
                verdict.guarantee = strategy.guarantee()
            if verdict.executions >= executions or found.complete or found.interrupted:
                break
    verdict.guarantee = verdict.guarantee or f"{verdict.executions:,} interleavings"
    return verdict


def _ways(scenario: Scenario, executions: int) -> Iterator[tuple[Strategy, int]]:
    """How to search, in this order, each with the most executions that it may take."""
    if len(scenario.workers) <= FEW:
        yield Merging(), ENOUGH
    yield MergingDpor(), executions * 2 // 3
    yield IterativeBounding(), executions


def _to_the_end(execution: Execution, found: Search) -> None:
    # What tasks are left waiting is no bug here, but the main thread must have come to its end.
    if found.bug is None and execution.ending.kind != "pruned" and execution.runtime.result is not True:
        found.bug = Bug("deadlock", "the main thread never came to its end", "main")
        found.schedule = execution.schedule


def _scaled(scenario: Scenario) -> Scenario:
    steps = tuple(replace(call, times=min(call.times, SCALED)) for call in scenario.steps)
    return replace(scenario, steps=steps)
