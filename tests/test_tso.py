"""Store buffers: the missing barrier is found, the right loop has none missing."""

from types import ModuleType

import pytest

from kwlab import (
    READ_ONCE,
    TASK_INTERRUPTIBLE,
    WRITE_ONCE,
    Struct,
    __set_current_state,
    current,
    kthread_run,
    kthread_should_stop,
    kthread_stop,
    schedule,
    set_current_state,
    wake_up_process,
)
from kwlab.explore import Options, Verdict, check, join, replay
from kwlab.explore.dpor import Dpor
from kwlab.explore.merging_dpor import MergingDpor
from kwlab.explore.sleep_sets import SleepSets
from kwlab.museum import EXHIBITS, Edit, Exhibit, make_variant


def nothing_wrong(verdict: Verdict) -> bool:
    """True if all interleavings were searched, and none goes wrong."""
    return verdict.ok and verdict.guarantee == "all interleavings"


def one_work(w: ModuleType) -> None:
    worker = w.kthread_run_worker(0, "worker")
    w.kthread_queue_work(worker, w.DEFINE_KTHREAD_WORK(lambda work: None))
    w.kthread_destroy_worker(worker)


PLAIN_STORE = (Edit("        me.set_current_state(TASK_INTERRUPTIBLE)\n", "        me.state = TASK_INTERRUPTIBLE\n"),)


def test_the_missing_barrier_of_the_loop() -> None:
    w = make_variant("plain store", PLAIN_STORE)
    assert check(lambda: one_work(w)).ok, "with stores that are seen at once nothing is missing"
    verdict = check(lambda: one_work(w), memory="tso")
    assert verdict.bug is not None
    assert verdict.bug.kind == "lost wake-up"
    assert verdict.executions <= 100
    assert verdict.memory == "total store order"
    again = replay(lambda: one_work(w), verdict.schedule, Options(memory="tso", races=True))
    assert str(again.bug) == str(verdict.bug)


def sleeper(announce: object) -> None:
    def body(_: object) -> None:
        while True:
            announce(TASK_INTERRUPTIBLE)  # type: ignore[operator]
            if kthread_should_stop():
                break
            schedule()
        set_current_state(0)

    kthread_stop(kthread_run(body, None, "sleeper"))


def test_the_missing_barrier_of_a_plain_thread() -> None:
    assert nothing_wrong(check(lambda: sleeper(set_current_state), memory="tso"))
    assert check(lambda: sleeper(__set_current_state)).ok
    verdict = check(lambda: sleeper(__set_current_state), memory="tso")
    assert verdict.bug is not None
    assert verdict.bug.kind == "lost wake-up"


class Flags(Struct):
    mine: int
    yours: int


def store_buffering(barrier: bool) -> None:
    """Each stores into its own field and looks at the other's: both must not see the old value."""
    flags = Flags()
    seen = []

    def other(_: object) -> None:
        WRITE_ONCE(flags, "yours", 1)
        if barrier:
            set_current_state(0)
        seen.append(READ_ONCE(flags, "mine"))

    task = kthread_run(other, None, "other")
    WRITE_ONCE(flags, "mine", 1)
    if barrier:
        set_current_state(0)
    seen.append(READ_ONCE(flags, "yours"))
    join(task)
    assert seen != [0, 0]


def test_store_buffering() -> None:
    assert check(lambda: store_buffering(False)).ok
    assert not check(lambda: store_buffering(False), memory="tso").ok
    assert check(lambda: store_buffering(True), memory="tso").ok


def test_a_task_sees_its_own_stores_and_others_see_them_in_order() -> None:
    def scenario() -> None:
        flags = Flags()

        def other(_: object) -> None:
            WRITE_ONCE(flags, "mine", 1)
            WRITE_ONCE(flags, "yours", 1)
            assert READ_ONCE(flags, "mine") == 1
            assert READ_ONCE(flags, "yours") == 1

        task = kthread_run(other, None, "other")
        later = READ_ONCE(flags, "yours")
        assert READ_ONCE(flags, "mine") >= later
        join(task)

    assert nothing_wrong(check(scenario, memory="tso"))


def test_a_wake_up_makes_stores_visible() -> None:
    def scenario() -> None:
        flags = Flags()
        me = current()

        def waker(_: object) -> None:
            WRITE_ONCE(flags, "mine", 1)
            wake_up_process(me)

        task = kthread_run(waker, None, "waker")
        while True:
            set_current_state(TASK_INTERRUPTIBLE)
            if READ_ONCE(flags, "mine"):
                break
            schedule()
        set_current_state(0)
        join(task)

    assert nothing_wrong(check(scenario, memory="tso"))


@pytest.mark.parametrize("shown", EXHIBITS, ids=lambda shown: shown.name)
def test_no_false_alarm(shown: Exhibit) -> None:
    verdict = check(shown.right, memory="tso", executions=60)
    assert verdict.ok, verdict
    assert verdict.races != "not looked for"


def test_an_unknown_memory_model() -> None:
    with pytest.raises(ValueError, match=r"memory='arm'.*sc, tso"):
        check(lambda: None, memory="arm")


@pytest.mark.parametrize("strategy", [Dpor, SleepSets])
def test_the_reductions_know_store_buffers(strategy: type) -> None:
    verdict = check(lambda: sleeper(__set_current_state), memory="tso", strategy=strategy())
    assert verdict.bug is not None
    assert verdict.bug.kind == "lost wake-up"
    right = check(lambda: sleeper(set_current_state), memory="tso", strategy=strategy())
    assert right.ok
    assert right.guarantee.startswith("all interleavings")
    assert not check(lambda: store_buffering(False), memory="tso", strategy=strategy()).ok
    assert check(lambda: store_buffering(True), memory="tso", strategy=strategy()).ok


def test_a_strategy_that_knows_no_store_buffers() -> None:
    with pytest.raises(ValueError, match="it knows no store buffers; take Merging, or Dpor"):
        check(lambda: None, memory="tso", strategy=MergingDpor())


def test_who_wakes_a_task_looks_behind_its_own_stores() -> None:
    """A wake-up is a full barrier, so what the waker stored just before is what it finds."""

    def scenario() -> None:
        me = current()
        __set_current_state(TASK_INTERRUPTIBLE)
        assert wake_up_process(me), "it found the state of before the store"

    assert nothing_wrong(check(scenario, memory="tso"))


def test_a_vain_wake_up_says_what_it_could_not_see() -> None:
    trace = check(lambda: sleeper(__set_current_state), memory="tso").trace()
    unseen = "state P it does not wake (what sleeper stored since is in its store buffer, where nobody else sees it)"
    assert any(unseen in step.sentence for step in trace.steps)
