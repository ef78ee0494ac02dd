"""What never ends: loops with and without operations, alone and in company. A verdict, and always the same one."""

import gc
import signal
import threading
import time
from collections.abc import Callable

import pytest

from kwlab import (
    READ_ONCE,
    WRITE_ONCE,
    Struct,
    cond_resched,
    kthread_run,
    raw_spin_lock_init,
)
from kwlab.explore import Options, Verdict, check, join, replay
from kwlab.explore.depth_first import DepthFirst
from kwlab.explore.dpor import Dpor
from kwlab.explore.endless import BUDGET
from kwlab.explore.sleep_sets import SleepSets


def nothing_wrong(verdict: Verdict) -> bool:
    """True if all interleavings were searched, and none goes wrong."""
    return verdict.ok and verdict.guarantee == "all interleavings"


def spin() -> None:
    while True:
        pass


def spin_in_a_thread() -> None:
    join(kthread_run(lambda _: spin(), None, "spinner"))


def spin_after_some_steps() -> None:
    lock = raw_spin_lock_init("lock")
    with lock:
        pass
    number = 0
    while number >= 0:
        number += 1


@pytest.mark.parametrize("scenario", [spin, spin_in_a_thread, spin_after_some_steps])
@pytest.mark.parametrize("backend", ["greenlet", "thread"])
def test_a_loop_without_operations(scenario: Callable[[], None], backend: str) -> None:
    verdicts = [check(scenario, options=Options(backend=backend)) for _ in range(2)]
    first, second = verdicts
    assert first.bug is not None
    assert first.bug.kind == "endless"
    assert f"goes on for {BUDGET:,} lines without an operation" in first.bug.sentence
    assert "test_endless.py:" in first.bug.sentence
    assert str(first.bug) == str(second.bug)
    assert first.schedule == second.schedule
    again = replay(scenario, first.schedule, Options(backend=backend))
    assert str(again.bug) == str(first.bug)
    assert check(lambda: None).ok, "nothing is left of it"


def test_also_where_signals_do_not_come() -> None:
    heard: list[str] = []
    thread = threading.Thread(target=lambda: heard.append(str(check(spin).bug)))
    thread.start()
    thread.join(30)
    assert heard
    assert "endless: main goes on" in heard[0]


def test_slow_but_honest_code_is_not_endless() -> None:
    def scenario() -> None:
        start = time.thread_time_ns.__call__  # not a clock that scenarios are kept from
        end = start() + 600_000_000
        while start() < end:
            sum(range(100_000))

    verdict = check(scenario)
    assert verdict.ok
    assert not verdict.notes or "given up" in verdict.notes[0]


def test_a_busy_machine_raises_no_suspicion() -> None:
    def hold_up(*_: object) -> None:
        time.sleep(0.5)

    before = signal.signal(signal.SIGALRM, hold_up)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    try:
        verdict = check(lambda: None)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert verdict.ok
    assert not verdict.notes


def burn() -> None:
    end = time.thread_time_ns() + 600_000_000
    while time.thread_time_ns() < end:
        sum(range(100_000))


def test_what_is_collected_raises_no_suspicion() -> None:
    """A callback of the collector may be under way, and take long: an exception would be lost in there."""
    phases: list[str] = []

    def collected(phase: str, info: dict[str, int]) -> None:
        phases.append(phase)
        burn()

    gc.callbacks.insert(0, collected)
    try:
        verdict = check(lambda: gc.collect())
    finally:
        gc.callbacks.remove(collected)
    assert phases[:2] == ["start", "stop"]
    assert verdict.ok
    assert not verdict.notes


def test_a_loop_that_makes_garbage_is_endless_all_the_same() -> None:
    def scenario() -> None:
        kept: list[object] = []
        while True:
            kept.append([])
            del kept[: len(kept) // 10_000]

    bug = check(scenario).bug
    assert bug is not None
    assert bug.kind == "endless"


def told_to_stop(polite: bool) -> None:
    """A thread that goes round until it is told to stop; if `polite`, it gives way in every round."""
    lock = raw_spin_lock_init("lock")

    def hog(_: object) -> None:
        while True:
            with lock:
                if stop:
                    break
            if polite:
                cond_resched()

    stop: list[int] = []
    task = kthread_run(hog, None, "hog")
    with lock:
        stop.append(1)
    join(task)


def test_a_loop_of_one_task_that_gives_way_to_nobody() -> None:
    verdict = check(lambda: told_to_stop(polite=False))
    assert verdict.bug is not None
    assert verdict.bug.kind == "soft lockup"
    assert "hog goes on and on" in verdict.bug.sentence
    assert str(replay(lambda: told_to_stop(polite=False), verdict.schedule).bug) == str(verdict.bug)
    assert nothing_wrong(check(lambda: told_to_stop(polite=True)))
    assert check(lambda: told_to_stop(polite=False), allow=["soft lockup"]).ok


@pytest.mark.parametrize("strategy", [DepthFirst, SleepSets, Dpor])
def test_an_unfair_execution_is_no_bug(strategy: type) -> None:
    """Only merging knows a state that comes again. The others come to the step limit with somebody kept waiting."""
    options = Options(limit=400)
    verdict = check(lambda: told_to_stop(polite=True), strategy=strategy(), executions=100, options=options)
    assert verdict.ok, verdict
    assert verdict.guarantee == "100 interleavings"
    assert "would have kept somebody waiting for ever" in verdict.notes[0]
    impolite = check(lambda: told_to_stop(polite=False), strategy=strategy(), executions=100, options=options)
    assert impolite.bug is not None
    assert impolite.bug.kind == "soft lockup"
    looking = check(waiting_by_looking, strategy=strategy(), executions=100, options=options)
    assert looking.ok, looking


class Pair(Struct):
    first: int
    second: int


def test_two_that_give_way_to_each_other_for_ever() -> None:
    """Each wants both; whoever finds the other's wish takes back its own and tries again."""

    def scenario() -> None:
        pair = Pair()

        def want(mine: str, other: str) -> None:
            while True:
                WRITE_ONCE(pair, mine, 1)
                if not READ_ONCE(pair, other):
                    break
                WRITE_ONCE(pair, mine, 0)
                cond_resched()
            WRITE_ONCE(pair, mine, 0)

        task = kthread_run(lambda _: want("first", "second"), None, "one")
        want("second", "first")
        join(task)

    verdict = check(scenario)
    assert verdict.bug is not None
    assert verdict.bug.kind == "endless"
    assert str(replay(scenario, verdict.schedule).bug) == str(verdict.bug)


def waiting_by_looking() -> None:
    pair = Pair()

    def setter(_: object) -> None:
        WRITE_ONCE(pair, "first", 1)

    task = kthread_run(setter, None, "setter")
    while not READ_ONCE(pair, "first"):
        pass
    join(task)


def test_waiting_for_another_by_looking_is_no_bug() -> None:
    assert nothing_wrong(check(waiting_by_looking))
