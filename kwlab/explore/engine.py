"""The search loop: run the scenario again and again, each time as the strategy chooses. It knows no strategy."""

import threading
import time
from collections.abc import Callable, Container
from dataclasses import dataclass, field

from kwlab.explore.problems import Bug, bug_of
from kwlab.explore.strategy import Strategy
from kwlab.runtime.carriers import Batons, Carriers, Greenlets
from kwlab.runtime.model import Ending, ModelRuntime, Observer
from kwlab.runtime.model_guard import guarded

__all__ = ["Execution", "Options", "Scenario", "Search", "run_once", "search"]

Scenario = Callable[[], object]

_pools = threading.local()


def pool(backend: str) -> Carriers:
    """This OS thread's carriers of the kind "greenlet" or "thread"."""
    carriers: Carriers | None = getattr(_pools, backend, None)
    if carriers is None:
        kinds: dict[str, Callable[[], Carriers]] = {"greenlet": Greenlets, "thread": Batons}
        if backend not in kinds:
            raise ValueError(f"unknown backend {backend!r}: 'greenlet' or 'thread'")
        carriers = kinds[backend]()
        setattr(_pools, backend, carriers)
    return carriers


@dataclass(slots=True)
class Options:
    """What holds for every execution of a search. `prepare(runtime)` is called before each: to observe it, or to
    give it another memory model. `limit` counts steps; `allow` names the kinds of bug that are none here."""

    limit: int = 10_000
    backend: str = "greenlet"
    allow: Container[str] = ()
    warnings_end: bool = True
    observer: Observer | None = None
    prepare: Callable[[ModelRuntime], object] | None = None


@dataclass(slots=True)
class Execution:
    """One finished execution."""

    runtime: ModelRuntime
    ending: Ending
    bug: Bug | None

    @property
    def schedule(self) -> list[int]:
        return self.runtime.schedule


@dataclass(slots=True)
class Search:
    """What a search has found so far."""

    executions: int = 0
    pruned: int = 0
    steps: int = 0
    seconds: float = 0.0
    bug: Bug | None = None
    schedule: list[int] = field(default_factory=list)
    complete: bool = False  # the strategy has nothing left to try


def run_once(
    scenario: Scenario, strategy: Strategy, options: Options, inspect: Callable[[Ending], object] | None = None
) -> Execution:
    """One execution, chosen by `strategy`. `inspect` is called at its end, with every task where it stopped."""
    runtime = ModelRuntime(
        strategy.choose,
        pool(options.backend),
        every_step=strategy.every_step,
        limit=options.limit,
        observer=options.observer,
        warnings_end=options.warnings_end,
    )
    if options.prepare is not None:
        options.prepare(runtime)
    strategy.begin(runtime)
    bugs: list[Bug | None] = []

    def over(ending: Ending) -> None:
        bugs.append(bug_of(runtime, ending))
        if inspect is not None:
            inspect(ending)

    ending = runtime.run(scenario, over)
    (bug,) = bugs
    if bug is not None and bug.kind in options.allow:
        bug = None
    return Execution(runtime, ending, bug)


def search(
    scenario: Scenario,
    strategy: Strategy,
    options: Options,
    *,
    executions: int | None = None,
    seconds: float | None = None,
    stop_at_bug: bool = True,
    after: Callable[[Execution, Search], bool | None] | None = None,
) -> Search:
    """Run until the strategy is done, a bug is found, or a budget is used up.

    `after` is called behind each execution with it and the search so far; returning True ends the search.
    """
    found = Search()
    started = time.perf_counter()
    with guarded(getattr(scenario, "__globals__", {})):
        more = True
        while more:
            execution = run_once(scenario, strategy, options)
            found.executions += 1
            found.steps += len(execution.schedule)
            if execution.ending.kind == "pruned":
                found.pruned += 1
            if execution.bug is not None and found.bug is None:
                found.bug, found.schedule = execution.bug, execution.schedule
            found.seconds = time.perf_counter() - started
            stop = after(execution, found) if after is not None else None
            if stop or (found.bug is not None and stop_at_bug):
                break
            more = strategy.end(execution.ending)
            if (executions is not None and found.executions >= executions) or (
                seconds is not None and found.seconds >= seconds
            ):
                break
        found.complete = not more
    return found
