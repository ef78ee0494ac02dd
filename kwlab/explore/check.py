"""`check(scenario)`: is there an interleaving in which it goes wrong?

A scenario is a plain function of no arguments. It runs as task "main" and uses kwlab's ordinary calls: it makes
workers, queues works, starts clients with `kthread_run`, waits for them with `join`, asserts, and stops what it began.
It is run again for every interleaving, so everything it shares it must make itself.
"""

from collections.abc import Iterable

from kwlab.explore.depth_first import DepthFirst
from kwlab.explore.engine import Options, Scenario, Search, search
from kwlab.explore.problems import KINDS
from kwlab.explore.strategy import Strategy
from kwlab.explore.verdict import Verdict
from kwlab.kthread import to_kthread
from kwlab.sched import Task

__all__ = ["check", "join"]


def join(*tasks: Task) -> None:
    """Wait until kthreads that end by themselves have ended. (`kthread_stop` is for those that wait to be told.)"""
    for task in tasks:
        to_kthread(task).exited.wait()


def check(
    scenario: Scenario,
    *,
    strategy: Strategy | None = None,
    executions: int | None = None,
    seconds: float | None = None,
    allow: Iterable[str] = (),
    races: bool = False,
    options: Options | None = None,
) -> Verdict:
    """Search for an interleaving of `scenario` that goes wrong.

    `races`: a data race is a bug too (see `kwlab.explore.races` for what is one).
    """
    options = options or Options()
    unknown = [kind for kind in allow if kind not in KINDS]
    if unknown:
        raise ValueError(f"check(allow={unknown!r}): the kinds of bug are {', '.join(KINDS)}")
    options.allow = frozenset(allow)
    options.races = (options.races or races) and "data race" not in options.allow
    strategy = strategy or DepthFirst()
    found = search(scenario, strategy, options, executions=executions, seconds=seconds)
    return Verdict(
        found.bug,
        strategy.guarantee() if found.complete else f"{found.executions:,} interleavings",
        races=_race_guarantee(strategy, found) if options.races else "not looked for",
        executions=found.executions,
        steps=found.steps,
        states=strategy.states,
        seconds=found.seconds,
        schedule=found.schedule,
    )


def _race_guarantee(strategy: Strategy, found: Search) -> str:
    """How completely data races were looked for: where states were merged, not all ways to the same state were run."""
    if found.complete and not strategy.states:
        return strategy.guarantee()
    return f"every one of the {found.executions:,} executions run"
