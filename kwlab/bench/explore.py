"""The explorer: how fast it takes steps, and what its bookkeeping costs.

The same few executions again and again: ours against a bare greenlet switch, against the same engine on OS threads,
against frontrun, which runs unmodified Python code opcode by opcode, and with and without what watches or reduces.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from greenlet import getcurrent, greenlet

from kwlab.bench.results import Comparison, Result, Target, not_measured
from kwlab.bench.size import Size
from kwlab.bench.statistics import paired
from kwlab.explore import Options, join
from kwlab.explore.depth_first import DepthFirst
from kwlab.explore.dpor import Dpor
from kwlab.explore.engine import Scenario, run_once, search
from kwlab.explore.random_walk import Random
from kwlab.explore.replay import Follow
from kwlab.explore.strategy import Strategy
from kwlab.kthread import kthread_run
from kwlab.runtime.model_guard import guarded
from kwlab.runtime.model_objects import ModelTask
from kwlab.sched import raw_spin_lock_init
from kwlab.worker import DEFINE_KTHREAD_WORK, kthread_destroy_worker, kthread_queue_work, kthread_run_worker

__all__ = ["explore"]

STEP, SWITCH = "model step", "bare greenlet switch"
RANDOM_STEP, BATON = "random model step", "the same on OS threads"
OTHER_STEP = "model step of another task"
OURS, THEIRS = "kwlab", "frontrun"
WATCHED, PLAIN = "with the race detector", "without"
REDUCED, ALONE = "DPOR", "the same executions alone"
INCREMENTS = 4  # for whole searches
SEARCHES = 30  # of ours beside one of frontrun's: one would be over before the processor is warm
MANY = 100  # for the cost of a step: so many that the beginning of an execution does not count


class Another(Random):
    """Whoever comes next in the list, never the one who asks: every step hands over, if anybody else can go on."""

    def choose(self, enabled: list[ModelTask], me: ModelTask) -> ModelTask | None:
        return next((task for task in enabled if task is not me), me)


def locked_counter(increments: int) -> Scenario:
    """Two threads that add to a number under a lock."""

    def scenario() -> None:
        lock = raw_spin_lock_init("lock")
        total = [0]

        def add(_: Any) -> None:
            for _ in range(increments):
                with lock:
                    total[0] += 1

        join(kthread_run(add, None, "one"), kthread_run(add, None, "two"))
        assert total[0] == 2 * increments

    return scenario


def two_works() -> None:
    """A worker, two works, and the end."""
    worker = kthread_run_worker(0, "bench")
    for _ in range(2):
        kthread_queue_work(worker, DEFINE_KTHREAD_WORK(lambda work: None))
    kthread_destroy_worker(worker)


def switch_cost(switches: int) -> float:
    """Seconds per switch between two greenlets that do nothing else."""
    main = getcurrent()

    def body() -> None:
        while True:
            main.switch()

    other = greenlet(body)
    other.switch()
    start = time.perf_counter()
    for _ in range(switches // 2):
        other.switch()
    return (time.perf_counter() - start) / (switches // 2 * 2)


def step_cost(scenario: Scenario, strategy: Callable[[], Strategy], executions: int, **options: Any) -> float:
    """Seconds per step of a search by a new `strategy`; `options` are those of `Options`."""
    found = search(scenario, strategy(), Options(**options), executions=executions)
    return found.seconds / found.steps


def dpor_cost(scenario: Scenario, searches: int = 1) -> float:
    """Seconds per execution of so many complete searches by DPOR."""
    found = [search(scenario, Dpor(), Options()) for _ in range(searches)]
    return sum(one.seconds for one in found) / sum(one.executions for one in found)


def alone_cost(scenario: Scenario, schedules: list[list[int]]) -> float:
    """Seconds per execution of the given ones, chosen step by step from a list."""
    options = Options()
    with guarded():
        start = time.perf_counter()
        for schedule in schedules:
            run_once(scenario, Follow(schedule), options)
        return (time.perf_counter() - start) / len(schedules)


def frontrun_cost(increments: int) -> float:
    """Seconds per interleaving of the same counter, as frontrun explores it: in a process that its command starts."""
    command = [
        str(Path(sys.executable).with_name("frontrun")),
        sys.executable,
        "-m",
        "kwlab.bench.frontrun",
        str(increments),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return float(done.stdout.split()[-1])


def explore(size: Size) -> list[Result]:
    """Every ratio of the explorer."""
    counter = locked_counter(MANY)
    # A depth-first search stays with a task for as long as it can, and a step that hands nothing over says nothing of
    # what carries the tasks. There chance chooses; and once somebody who never stays.
    chance = partial(Random, seed=1)
    results: list[Result] = []
    for name, subject, scenario in (
        ("explore-step", "A step of the model, two tasks and a lock", counter),
        ("explore-worker-step", "A step of the model, a worker and two works", two_works),
    ):
        samples = paired(
            size.rounds,
            {
                SWITCH: partial(switch_cost, size.steps),
                STEP: partial(step_cost, scenario, DepthFirst, size.explored),
                RANDOM_STEP: partial(step_cost, scenario, chance, size.explored),
                BATON: partial(step_cost, scenario, chance, size.explored // 10, backend="thread"),
            },
        )
        promised = scenario is counter
        results += [
            # The target, 0.18 steps per switch, the other way round: a step may cost so many switches.
            Comparison(
                name,
                subject,
                "s",
                {STEP: samples[STEP], SWITCH: samples[SWITCH]},
                STEP,
                SWITCH,
                Target(at_most=1 / 0.18) if promised else None,
            ),
            Comparison(
                f"{name}-threads",
                subject,
                "s",
                {BATON: samples[BATON], RANDOM_STEP: samples[RANDOM_STEP]},
                BATON,
                RANDOM_STEP,
                Target(at_least=6) if promised else None,
            ),
        ]
    return [*results, _handing_over(size, counter), _watching(size), _bookkeeping(size), _frontrun(size)]


def _handing_over(size: Size, counter: Scenario) -> Result:
    samples = paired(
        size.rounds,
        {
            OTHER_STEP: partial(step_cost, counter, Another, size.explored),
            BATON: partial(step_cost, counter, Another, size.explored // 10, backend="thread"),
        },
    )
    subject = "A step of the model that hands over to another task, two tasks and a lock"
    return Comparison("explore-hand-over-threads", subject, "s", samples, BATON, OTHER_STEP, Target(at_least=6))


def _watching(size: Size) -> Result:
    executions = 5 * size.explored  # so many that putting the observers in place does not count
    samples = paired(
        size.rounds,
        {
            WATCHED: partial(step_cost, two_works, DepthFirst, executions, races=True),
            PLAIN: partial(step_cost, two_works, DepthFirst, executions),
        },
    )
    subject = "A step of a worker and two works, depth first"
    return Comparison("explore-races", subject, "s", samples, WATCHED, PLAIN, Target(at_most=1.6))


def _bookkeeping(size: Size) -> Result:
    schedules: list[list[int]] = []
    search(two_works, Dpor(), Options(), after=lambda execution, so_far: schedules.append(execution.schedule))
    samples = paired(
        size.rounds, {REDUCED: partial(dpor_cost, two_works), ALONE: partial(alone_cost, two_works, schedules)}
    )
    details = {"executions": len(schedules)}
    subject = "An execution of a worker and two works"
    return Comparison("explore-dpor", subject, "s", samples, REDUCED, ALONE, Target(at_most=1.8), details)


def _frontrun(size: Size) -> Result:
    subject = f"An interleaving of a locked counter, 2 threads, {INCREMENTS} increments"
    if find_spec("frontrun") is None:
        return not_measured("explore-frontrun", subject, "frontrun is not installed (make bench)")
    samples = paired(
        min(size.rounds, 7),
        {THEIRS: partial(frontrun_cost, INCREMENTS), OURS: partial(dpor_cost, locked_counter(INCREMENTS), SEARCHES)},
    )
    return Comparison("explore-frontrun", subject, "s", samples, THEIRS, OURS, Target(at_least=40))
