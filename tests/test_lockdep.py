"""Lock order by classes: found without anybody waiting, and no false alarm."""

import pytest

from kwlab import (
    DEFINE_KTHREAD_DELAYED_WORK,
    KthreadWorker,
    kthread_cancel_delayed_work_sync,
    kthread_destroy_worker,
    kthread_init_worker,
    kthread_queue_delayed_work,
    kthread_run,
    kthread_run_worker,
    raw_spin_lock_init,
)
from kwlab.explore import check, join, replay
from kwlab.museum import EXHIBITS, Exhibit
from kwlab.timer import timer_delete_sync


def both(first: object, second: object) -> int:
    with first, second:  # type: ignore[attr-defined]
        pass
    return 0


def test_an_inversion_that_never_deadlocks() -> None:
    def scenario() -> None:
        a = raw_spin_lock_init("a")
        b = raw_spin_lock_init("b")
        both(a, b)
        join(kthread_run(lambda _: both(b, a), None, "late"))

    verdict = check(scenario)
    assert verdict.bug is not None
    assert verdict.bug.kind == "lock order"
    assert "late takes a while it holds b in both(), test_lockdep.py:" in verdict.bug.sentence
    assert "the other way round, main takes b while it holds a in both(), test_lockdep.py:" in verdict.bug.sentence
    assert verdict.guarantee == "all interleavings"
    assert str(replay(scenario, verdict.schedule).bug) == str(verdict.bug)
    assert check(scenario, allow=["lock order"]).ok


def test_a_deadlock_is_worse() -> None:
    def scenario() -> None:
        a = raw_spin_lock_init("a")
        b = raw_spin_lock_init("b")
        task = kthread_run(lambda _: both(b, a), None, "other")
        both(a, b)
        join(task)

    verdict = check(scenario)
    assert verdict.bug is not None
    assert verdict.bug.kind == "deadlock"


def test_by_way_of_a_third() -> None:
    def scenario() -> None:
        a = raw_spin_lock_init("a")
        b = raw_spin_lock_init("b")
        c = raw_spin_lock_init("c")
        both(a, b)
        both(b, c)
        both(c, a)

    verdict = check(scenario)
    assert verdict.bug is not None
    assert "takes a while it holds c" in verdict.bug.sentence
    assert "takes b while it holds a" in verdict.bug.sentence
    assert "takes c while it holds b" in verdict.bug.sentence


def test_locks_are_known_by_the_line_that_made_them() -> None:
    def scenario() -> None:
        first, second = [raw_spin_lock_init(name) for name in "ab"]
        both(first, second)

    verdict = check(scenario)
    assert verdict.bug is not None
    assert "locks of one class" in verdict.bug.sentence

    def workers(same_line: bool) -> None:
        one, two = KthreadWorker(), KthreadWorker()
        if same_line:
            for worker in (one, two):
                kthread_init_worker(worker)
        else:
            kthread_init_worker(one)
            kthread_init_worker(two)
        both(one.lock, two.lock)

    assert not check(lambda: workers(same_line=True)).ok
    assert check(lambda: workers(same_line=False)).ok


def test_waiting_for_a_timer_with_the_lock_that_its_callback_takes() -> None:
    def scenario() -> None:
        worker = kthread_run_worker(0, "worker")
        dwork = DEFINE_KTHREAD_DELAYED_WORK(lambda work: None)
        kthread_queue_delayed_work(worker, dwork, 1)
        with worker.lock:
            timer_delete_sync(dwork.timer)
        kthread_cancel_delayed_work_sync(dwork)
        kthread_destroy_worker(worker)

    verdict = check(scenario)
    assert verdict.bug is not None
    assert verdict.bug.kind in ("lock order", "deadlock")


@pytest.mark.parametrize("shown", EXHIBITS, ids=lambda shown: shown.name)
def test_no_false_alarm(shown: Exhibit) -> None:
    assert check(shown.right, executions=60).ok
