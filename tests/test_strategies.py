"""DPOR, sleep sets, chance and PCT: how much they try, and how soon they find. Every figure is a count that repeats."""

import math
import statistics
from collections.abc import Callable

import pytest

from kwlab import (
    DEFINE_KTHREAD_WORK,
    TASK_INTERRUPTIBLE,
    TASK_RUNNING,
    KthreadWorker,
    Task,
    current,
    kthread_flush_worker,
    kthread_init_worker,
    kthread_queue_work,
    kthread_run,
    kthread_should_stop,
    kthread_stop,
    list_del_init,
    list_empty,
    list_first_entry,
    raw_spin_lock_init,
    schedule,
    set_current_state,
)
from kwlab.bench.explore import locked_counter
from kwlab.explore import Options, check, replay
from kwlab.explore.bounding import IterativeBounding
from kwlab.explore.dpor import Dpor
from kwlab.explore.engine import search
from kwlab.explore.pct import Pct
from kwlab.explore.random_walk import Random
from kwlab.explore.sleep_sets import SleepSets
from kwlab.explore.strategy import Strategy
from kwlab.worker import KthreadWork

Loop = Callable[[KthreadWorker], int]


@pytest.mark.parametrize("increments", range(1, 7))
def test_of_a_locked_counter_every_order_of_the_lock_is_run_once(increments: int) -> None:
    found = search(locked_counter(increments), Dpor(), Options())
    assert found.complete
    assert found.bug is None
    assert (found.executions, found.pruned) == (math.comb(2 * increments, increments), 0)


def test_sleep_sets_finish_as_many_and_give_up_others() -> None:
    found = search(locked_counter(3), SleepSets(), Options())
    assert found.executions - found.pruned == math.comb(6, 3)
    assert found.pruned > 0


def take(worker: KthreadWorker) -> KthreadWork | None:
    with worker.lock:
        if list_empty(worker.work_list):
            return None
        work = list_first_entry(worker.work_list, KthreadWork, "node")
        list_del_init(work.node)
        return work


def right(worker: KthreadWorker) -> int:
    """The loop as it should be."""
    worker.task = current()
    while True:
        set_current_state(TASK_INTERRUPTIBLE)
        if kthread_should_stop():
            set_current_state(TASK_RUNNING)
            return 0
        if work := take(worker):
            set_current_state(TASK_RUNNING)
            work.func(work)
        else:
            schedule()


def late_announcement(worker: KthreadWorker) -> int:
    """It looks before it announces its sleep: a wake-up in between is lost."""
    worker.task = current()
    while not kthread_should_stop():
        if work := take(worker):
            work.func(work)
            continue
        set_current_state(TASK_INTERRUPTIBLE)
        schedule()
    return 0


def stop_before_announcement(worker: KthreadWorker) -> int:
    """It looks for a stop before it announces its sleep: a stop in between is missed."""
    worker.task = current()
    while not kthread_should_stop():
        set_current_state(TASK_INTERRUPTIBLE)
        if work := take(worker):
            set_current_state(TASK_RUNNING)
            work.func(work)
        else:
            schedule()
    return 0


def two_works(loop: Loop, flush: bool) -> Callable[[], None]:
    def scenario() -> None:
        worker = KthreadWorker()
        kthread_init_worker(worker)
        task: Task = kthread_run(loop, worker, "worker")  # type: ignore[arg-type]
        worker.task = task
        for _ in range(2):
            kthread_queue_work(worker, DEFINE_KTHREAD_WORK(lambda work: None))
        if flush:
            kthread_flush_worker(worker)
        kthread_stop(task)

    return scenario


# The most executions until the first failure; of chance, the median over 15 seeds. A kthread's own steps, before and
# behind its loop, thin out what chance would find, and what a bound would.
LIMITS = {
    (late_announcement, True): {"DPOR": 2, "bounding": 10, "random": 5},
    (late_announcement, False): {"DPOR": 4, "bounding": 45, "random": 100},
    (stop_before_announcement, True): {"DPOR": 2, "bounding": 10, "random": 15},
    (stop_before_announcement, False): {"DPOR": 5, "bounding": 100, "random": 1100},
}


def executions(scenario: Callable[[], None], strategy: Strategy) -> int:
    verdict = check(scenario, strategy=strategy, allow=["work left behind"])
    assert verdict.bug is not None
    assert verdict.bug.kind == "lost wake-up"
    assert str(replay(scenario, verdict.schedule).bug) == str(verdict.bug)
    return verdict.executions


@pytest.mark.parametrize(("loop", "flush"), LIMITS)
def test_how_soon_the_classic_bugs_are_found(loop: Loop, flush: bool) -> None:
    scenario, limits = two_works(loop, flush), LIMITS[loop, flush]
    assert executions(scenario, Dpor()) <= limits["DPOR"]
    assert executions(scenario, IterativeBounding(3)) <= limits["bounding"]
    assert statistics.median(executions(scenario, Random(seed)) for seed in range(15)) <= limits["random"]
    assert statistics.median(executions(scenario, Pct(3, seed)) for seed in range(15)) < 500


@pytest.mark.parametrize("strategy", [SleepSets(), Dpor(), Random(3, 200), Pct(3, 3, 200)])
def test_the_right_loop_passes(strategy: Strategy) -> None:
    verdict = check(two_works(right, flush=True), strategy=strategy)
    assert verdict.ok, verdict
    assert verdict.guarantee == strategy.guarantee()


@pytest.mark.parametrize("make", [lambda seed: Random(seed, 20), lambda seed: Pct(3, seed, 20)])
def test_the_same_seed_gives_the_same_executions(make: Callable[[int], Strategy]) -> None:
    def schedules(seed: int) -> list[list[int]]:
        seen: list[list[int]] = []
        search(locked_counter(3), make(seed), Options(), after=lambda one, so_far: seen.append(one.schedule))
        return seen

    assert schedules(1) == schedules(1) != schedules(2)
    assert len(schedules(1)) == 20


def test_pct_lets_a_task_go_on_that_others_wait_for_in_a_loop() -> None:
    def scenario() -> None:
        done = [False]
        lock = raw_spin_lock_init("lock")

        def other(_: object) -> None:
            with lock:
                done[0] = True

        kthread_run(other, None, "other")
        while not done[0]:
            with lock:
                pass

    assert check(scenario, strategy=Pct(1, 0, 20), options=Options(limit=400)).ok


@pytest.mark.parametrize("make", [lambda: Random(executions=0), lambda: Pct(executions=0), lambda: Pct(depth=0)])
def test_less_than_one_is_refused(make: Callable[[], Strategy]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        make()
