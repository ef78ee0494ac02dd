"""`check(scenario)`: is there an interleaving in which it goes wrong?

A scenario is a plain function of no arguments. It runs as task "main" and uses kwlab's ordinary calls: it makes
workers, queues works, starts clients with `kthread_run`, waits for them with `join`, asserts, and stops what it began.
It is run again for every interleaving, so everything it shares it must make itself.
"""

from collections.abc import Iterable
from dataclasses import replace

from kwlab.explore.bounding import CompleteFirst, IterativeBounding
from kwlab.explore.engine import Execution, Options, Scenario, Search, search
from kwlab.explore.invariants import chosen
from kwlab.explore.merging_dpor import MergingDpor
from kwlab.explore.minimise import minimise
from kwlab.explore.problems import KINDS
from kwlab.explore.progress import Progress
from kwlab.explore.replay import signed
from kwlab.explore.strategy import Strategy
from kwlab.explore.tso import MEMORY_MODELS
from kwlab.explore.verdict import Verdict
from kwlab.kthread import to_kthread
from kwlab.sched import Task

__all__ = ["EXECUTIONS", "check", "join"]

EXECUTIONS = 6_000  # the budget of a check that was given none


def join(*tasks: Task) -> None:
    """Wait until kthreads that end by themselves have ended. (`kthread_stop` is for those that wait to be told.)"""
    for task in tasks:
        to_kthread(task).exited.wait()


def check(
    scenario: Scenario,
    *,
    bound: int | None = None,
    strategy: Strategy | None = None,
    executions: int | None = None,
    seconds: float | None = None,
    allow: Iterable[str] = (),
    races: bool = False,
    invariants: bool | Iterable[str] = False,
    memory: str = "sc",
    options: Options | None = None,
) -> Verdict:
    """Search for an interleaving of `scenario` that goes wrong.

    By itself it searches all interleavings, taking equal states for one; where those are too many, all with no
    preemption, with at most one, two, and so on, as far as the budget goes. The verdict's `guarantee` says how far.

    `bound`: only interleavings with at most so many preemptions. `strategy`: another way to search, see below.
    `executions` and `seconds` are the budget; the default is `EXECUTIONS`, for a strategy of your own none. `allow`
    names kinds of bug (`KINDS`) that are none here. `races`: a data race is a bug too (see `kwlab.explore.races`
    for what is one). `invariants`: the names of those to be watched, or True for all (see
    `kwlab.explore.invariants`); not together with a strategy that leaves out orders which the tasks cannot tell
    apart. `memory`: "sc", or "tso" for processors that let a plain store wait (see `kwlab.explore.tso`; looks for
    races too). `options`: see `Options`.

    The strategies, each in a module of its own: `DepthFirst` runs every interleaving, one by one; `Merging` comes
    to every state once; `SleepSets` gives up an interleaving once it differs from an earlier one only in the order
    of operations that cannot notice each other; `Dpor` mostly does not even begin such a one; `MergingDpor` comes
    to every state once and tries there only what can be noticed; `Random` draws each choice; `Pct` draws
    priorities, and a few moments at which they change.

    `SleepSets`, `Dpor` and `MergingDpor` know kwlab's own operations only. They are blind to plain Python objects,
    such as a list that several tasks append to: unless a lock or another operation of kwlab puts the appends in
    order, they count as steps that cannot notice each other, and one order is run. The same holds for plain fields
    of structs; but `races` finds those out.

    Errors: `ValueError` for an impossible budget or an unknown kind; `NonDeterministicError` if the scenario does not
    do the same when the same choices are made; `UncontrolledError` and `ForeignThreadError` if it leaves the model.
    """
    options = replace(options or Options())  # the caller's stay as they are
    unknown = [kind for kind in allow if kind not in KINDS]
    if unknown:
        raise ValueError(f"check(allow={unknown!r}): the kinds of bug are {', '.join(KINDS)}")
    options.allow = frozenset((*options.allow, *allow))
    if memory not in MEMORY_MODELS:
        raise ValueError(f"check(memory={memory!r}): the memory models are {', '.join(MEMORY_MODELS)}")
    options.memory = memory if memory != "sc" else options.memory
    options.races = (options.races or races or options.memory == "tso") and "data race" not in options.allow
    options.invariants = chosen(invariants) or options.invariants
    _check_numbers(bound=bound, executions=executions, seconds=seconds)
    if strategy is None:
        executions = executions or EXECUTIONS
        strategy = IterativeBounding(bound) if bound is not None else CompleteFirst(executions, seconds)
    elif bound is not None:
        raise ValueError("check(bound=..., strategy=...): a strategy has its own bound; give one of the two")
    if options.memory == "tso" and isinstance(strategy, MergingDpor):
        raise ValueError("check(memory='tso', strategy=MergingDpor): it knows no store buffers; take Merging, or Dpor")
    if options.invariants and getattr(strategy, "reduces", False):
        raise ValueError(
            f"check(invariants=..., strategy={type(strategy).__name__}): an invariant looks at all tasks at once, and "
            "this strategy runs one order of what the tasks themselves cannot tell apart; take Merging, or DepthFirst"
        )
    progress = Progress()

    def after(execution: Execution, so_far: Search) -> None:
        progress.update(so_far, strategy)

    try:
        found = search(scenario, strategy, options, executions=executions, seconds=seconds, after=after)
    finally:
        progress.close()
    return _verdict(scenario, strategy, options, found)


def _verdict(scenario: Scenario, strategy: Strategy, options: Options, found: Search) -> Verdict:
    # These two know before their end what they have searched through; but a search that a bug ended proves nothing.
    early = found.bug is None and isinstance(strategy, (IterativeBounding, CompleteFirst))
    known = strategy.guarantee() if found.complete or early else ""
    notes = [f"some states were not merged: {why}" for why in getattr(strategy, "opaque", ())]
    if found.given_up:
        known = ""
        notes.append(f"{found.given_up} executions were given up: they took too long between two operations")
    if found.unfair:
        known = ""
        notes.append(
            f"{found.unfair} executions were given up after {options.limit:,} steps: they would have kept somebody "
            "waiting for ever, as no scheduler does"
        )
    if found.interrupted:
        notes.append("interrupted by Ctrl-C: this is what was found by then")
    verdict = Verdict(
        found.bug,
        known or f"{found.executions:,} interleavings",
        memory=MEMORY_MODELS[options.memory],
        races=_race_guarantee(strategy, found) if options.races else "not looked for",
        executions=found.executions,
        steps=found.steps,
        states=strategy.states,
        seconds=found.seconds,
        notes=notes,
        scenario=scenario,
        options=options,
    )
    if found.bug is not None:
        # An endless loop takes its time in every run, so it is shown as it was found.
        endless = found.bug.kind == "endless"
        simplest = None if endless else minimise(scenario, found.schedule, found.bug, options)
        if simplest is None:
            verdict.schedule = signed(scenario, found.schedule, options)
        else:
            verdict.bug, verdict.schedule = simplest.bug, simplest.schedule
            verdict.preemptions, verdict.fewest = simplest.preemptions, simplest.proven
    return verdict


def _race_guarantee(strategy: Strategy, found: Search) -> str:
    """How completely data races were looked for: where states were merged, not all ways to the same state were run."""
    if found.complete and not strategy.states:
        return strategy.guarantee()
    return f"every one of the {found.executions:,} executions run"


def _check_numbers(bound: int | None, executions: int | None, seconds: float | None) -> None:
    if bound is not None and (not isinstance(bound, int) or bound < 0):
        raise ValueError(f"check(bound={bound!r}): a number of preemptions, 0 or more")
    if executions is not None and (not isinstance(executions, int) or executions < 1):
        raise ValueError(f"check(executions={executions!r}): a number of executions, 1 or more")
    if seconds is not None and not seconds > 0:
        raise ValueError(f"check(seconds={seconds!r}): a time above 0")
