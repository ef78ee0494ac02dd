"""The search loop: run the scenario again and again, each time as the strategy chooses. It knows no strategy."""

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace

from kwlab.explore.again import again
from kwlab.explore.ctrl_c import CtrlC, ctrl_c
from kwlab.explore.endless import Suspicion, Watch, kept_waiting, recount, watching
from kwlab.explore.fields import observed_fields
from kwlab.explore.invariants import Monitor
from kwlab.explore.lockdep import LockOrder
from kwlab.explore.problems import INVERSION, Bug, bug_of
from kwlab.explore.races import PatientDetector, RaceDetector
from kwlab.explore.racy import racy_fields_told
from kwlab.explore.strategy import Strategy
from kwlab.explore.tso import StoreBuffers
from kwlab.explore.watched import swapped_back
from kwlab.runtime.carriers import Batons, Carriers, Greenlets
from kwlab.runtime.model import Ending, ModelRuntime, Observer
from kwlab.runtime.model_guard import guarded

__all__ = ["Execution", "Options", "Scenario", "Search", "exploring", "run_once", "search"]

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
    """What holds for every execution of a search.

    `limit` counts steps; `allow` names kinds of bug that are none here. `races`: look for data races; `memory`: "sc"
    or "tso" (see `kwlab.explore.tso`); `invariants`: the names of those to be watched (see `kwlab.explore.invariants`).
    `lock_order` is what the search learns about locks, `watch` who looks for endless loops. `prepare(runtime)` is
    called before each execution.
    """

    limit: int = 10_000
    backend: str = "greenlet"
    allow: Collection[str] = ()
    warnings_end: bool = True
    races: bool = False
    memory: str = "sc"
    invariants: tuple[str, ...] = ()
    lock_order: LockOrder = field(default_factory=LockOrder)
    watch: Watch | None = None
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
    given_up: int = 0  # executions that took too long between two operations
    unfair: int = 0  # executions that reached the step limit while somebody was kept waiting
    steps: int = 0
    seconds: float = 0.0
    bug: Bug | None = None
    schedule: list[int] = field(default_factory=list)
    complete: bool = False  # the strategy has nothing left to try
    interrupted: bool = False  # by Ctrl-C


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
    options.lock_order.attach(runtime)
    if options.memory == "tso":
        StoreBuffers(runtime).attach()
    detector = RaceDetector(runtime) if options.races else None
    if detector is not None:
        detector.attach()
    monitor = Monitor(runtime, options.invariants) if options.invariants else None
    if monitor is not None:
        monitor.attach()
    bugs: list[Bug | None] = []

    def over(ending: Ending) -> None:
        if detector is not None:
            detector.close()
        broken = monitor.at_the_end(ending) if monitor is not None else None
        bugs.append(Bug(*broken) if broken is not None else bug_of(runtime, ending))
        if inspect is not None:
            inspect(ending)

    if options.watch is not None:
        options.watch.runtime = runtime
    try:
        ending = runtime.run(scenario, over)
    except Suspicion:
        return _suspected(scenario, runtime, options)
    finally:
        if monitor is not None:
            monitor.close()
    (bug,) = bugs
    if ending.kind == "endless" and len(runtime.schedule) >= options.limit:
        unfair = kept_waiting(scenario, runtime, options.prepare)
        if unfair:
            return Execution(runtime, Ending("unfair", f"{unfair} was kept waiting"), None)
    if bug is not None and bug.kind == "data race":
        bug = replace(bug, sentence=_with_sites(scenario, runtime))
    if bug is not None and bug.kind in options.allow:
        bug = None
    return Execution(runtime, ending, bug)


def _suspected(scenario: Scenario, runtime: ModelRuntime, options: Options) -> Execution:
    """The execution that was interrupted because it took no step any more."""
    ending = recount(scenario, runtime)
    bug = None
    if ending.kind != "slow":
        bug = Bug(ending.kind, ending.sentence, ending.task.name if ending.task is not None else None)
    elif options.watch is not None:
        options.watch.patience *= 4
    return Execution(runtime, ending, bug if bug is None or bug.kind not in options.allow else None)


def _with_sites(scenario: Scenario, first: ModelRuntime) -> str:
    """The sentence about the data race that ended `first`, from the same execution once more, slower."""
    patient = again(first)
    detector = PatientDetector(patient)
    detector.attach()
    ending = patient.run(scenario, lambda ending: detector.close())
    assert first.ending is not None
    return (ending if ending.kind == first.ending.kind else first.ending).sentence


@contextmanager
def exploring(scenario: Scenario, options: Options) -> Iterator[CtrlC]:
    """Around all executions of `scenario`: what is swapped for the time of an exploration.

    Ctrl-C is taken first and given back last, so that it never leaves half of that behind.
    """
    outer = options.watch
    options.lock_order = LockOrder()
    with (
        ctrl_c() as interrupt,
        watching() as watch,
        guarded(getattr(scenario, "__globals__", {})),
        observed_fields() if options.races else nullcontext(),
        swapped_back(),
    ):
        options.watch = watch
        try:
            yield interrupt
        finally:
            options.watch = outer


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
    """Run until the strategy is done, a bug is found, a budget is used up, or Ctrl-C is pressed.

    `after` is called behind each execution with it and the search so far; returning True ends the search.
    """
    found = Search()
    inverted: list[int] | None = None  # the execution in which locks were first taken in two orders
    started = time.perf_counter()
    more = True
    told = racy_fields_told() if getattr(strategy, "reduces", False) else nullcontext()
    with exploring(scenario, options) as interrupt, told, _until_interrupted(found):
        while more:
            execution = run_once(scenario, strategy, options)
            found.executions += 1
            found.steps += len(execution.schedule)
            if execution.ending.kind == "pruned":
                found.pruned += 1
            if execution.ending.kind == "slow":
                found.given_up += 1
            if execution.ending.kind == "unfair":
                found.unfair += 1
            if execution.bug is not None and found.bug is None:
                found.bug, found.schedule = execution.bug, execution.schedule
            if inverted is None and options.lock_order.inversion:
                inverted = execution.schedule
            found.seconds = time.perf_counter() - started
            stop = after(execution, found) if after is not None else None
            if stop or (found.bug is not None and stop_at_bug):
                break
            more = strategy.end(execution.ending)
            if interrupt.pressed and more:
                raise KeyboardInterrupt
            if (executions is not None and found.executions >= executions) or (
                seconds is not None and found.seconds >= seconds
            ):
                break
    found.complete = not more and not found.given_up and not found.unfair
    if found.bug is None and inverted is not None and INVERSION not in options.allow:
        found.bug, found.schedule = Bug(INVERSION, options.lock_order.inversion), inverted
    return found


@contextmanager
def _until_interrupted(found: Search) -> Iterator[None]:
    """A Ctrl-C ends the block, and what was found by then counts."""
    try:
        yield
    except KeyboardInterrupt:
        found.interrupted = True
