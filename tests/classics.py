"""The bugs that the course is about, and the explorer's own way to each."""

from collections.abc import Callable

import loops

from kwlab.explore import check
from kwlab.explore.depth_first import DepthFirst
from kwlab.museum import exhibit

# The scenario, and the kind of bug that is found in it.
CLASSICS = {
    "lost wake-up": (loops.lost_wakeup, "lost wake-up"),
    "lost stop": (loops.lost_stop, "lost wake-up"),
    "missing conditional clear": (exhibit("B2b").wrong, "lost wake-up"),
    "double run": (loops.double_run, "assertion"),
}


def found(scenario: Callable[[], object]) -> list[int]:
    """The explorer's own schedule: the first failing one with the fewest preemptions."""
    for bound in range(4):
        verdict = check(scenario, strategy=DepthFirst(bound), executions=2_000)
        if verdict.bug is not None:
            return verdict.schedule
    raise AssertionError("the explorer found nothing")
