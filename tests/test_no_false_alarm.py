"""The shipped worker passes every scenario of the museum, whichever way it is searched and whatever is looked for."""

from collections.abc import Callable

import pytest

from kwlab.explore import check
from kwlab.explore.bounding import IterativeBounding
from kwlab.explore.depth_first import DepthFirst
from kwlab.explore.dpor import Dpor
from kwlab.explore.merging import Merging
from kwlab.explore.merging_dpor import MergingDpor
from kwlab.explore.pct import Pct
from kwlab.explore.random_walk import Random
from kwlab.explore.sleep_sets import SleepSets
from kwlab.explore.strategy import Strategy
from kwlab.museum import EXHIBITS, Exhibit

EXECUTIONS = 60  # of each scenario under each strategy; elsewhere they are searched to the end
STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "depth first": DepthFirst,
    "at most two preemptions": lambda: DepthFirst(2),
    "iterative bounding": IterativeBounding,
    "merging": Merging,
    "sleep sets": SleepSets,
    "DPOR": Dpor,
    "merging with DPOR": MergingDpor,
    "random": lambda: Random(seed=7, executions=EXECUTIONS),
    "PCT": lambda: Pct(seed=7, executions=EXECUTIONS),
}
# Merging with DPOR knows no store buffers, and says so.
SEARCHES = [(name, memory) for name in STRATEGIES for memory in ("sc", "tso")]
SEARCHES.remove(("merging with DPOR", "tso"))


@pytest.mark.parametrize(("strategy", "memory"), SEARCHES)
def test_the_right_way_raises_no_alarm(strategy: str, memory: str) -> None:
    for shown in EXHIBITS:
        verdict = check(shown.right, strategy=STRATEGIES[strategy](), memory=memory, races=True, executions=EXECUTIONS)
        assert verdict.ok, f"{shown.name}: {verdict.bug}"


def test_an_alarm_would_be_heard() -> None:
    def alarms(shown: Exhibit) -> bool:
        verdict = check(shown.wrong, strategy=Merging(), races=True, executions=100, **shown.options)
        return verdict.bug is not None

    assert sum(map(alarms, EXHIBITS)) >= len(EXHIBITS) // 2
