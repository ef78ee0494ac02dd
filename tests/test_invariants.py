"""The invariants of a worker: each is broken on purpose, and that one is named."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import kwlab.worker
from kwlab import raw_spin_lock_init
from kwlab.explore import Options, check, replay
from kwlab.explore.dpor import Dpor
from kwlab.explore.invariants import INVARIANTS
from kwlab.explore.merging import Merging
from kwlab.explore.merging_dpor import MergingDpor
from kwlab.explore.sleep_sets import SleepSets
from kwlab.explore.strategy import Strategy
from kwlab.museum import EXHIBITS, Edit, Exhibit, exhibit, make_variant


def two_works(w: ModuleType) -> None:
    lock = raw_spin_lock_init("lock")

    def body(work: Any) -> None:
        with lock:
            pass

    worker = w.kthread_run_worker(0, "worker")
    works = [w.DEFINE_KTHREAD_WORK(body) for _ in range(2)]
    for work in works:
        w.kthread_queue_work(worker, work)
    w.kthread_cancel_work_sync(works[1])
    w.kthread_destroy_worker(worker)


def delayed(w: ModuleType) -> None:
    worker = w.kthread_run_worker(0, "worker")
    dwork = w.DEFINE_KTHREAD_DELAYED_WORK(lambda work: None)
    w.kthread_queue_delayed_work(worker, dwork, 1)
    w.kthread_cancel_delayed_work_sync(dwork)
    w.kthread_destroy_worker(worker)


LOOK_FIRST = (
    Edit("        me.set_current_state(TASK_INTERRUPTIBLE)\n\n        if requests", "        if requests"),
    Edit(
        "            me.schedule()\n",
        "            me.set_current_state(TASK_INTERRUPTIBLE)\n"
        "            if not requests.test_bit(KTHREAD_SHOULD_STOP):\n                me.schedule()\n",
    ),
)
BROKEN = {
    "I1": (
        Edit("        list_del_init(work.node)\n        # A cancel", "        # A cancel"),
        Edit(
            "        if not work.canceling:\n            kthread_insert_work(worker, work, worker.work_list)",
            "        if not work.canceling:\n            list_add_tail(work.node, worker.work_list)",
        ),
    ),
    "I2": (
        Edit(
            "            func = work.func\n",
            "            if not list_empty(worker.work_list):\n                me.state = TASK_RUNNING\n"
            "                continue\n            func = work.func\n",
        ),
    ),
    "I3": LOOK_FIRST,
    "I4": exhibit("B2b").edits,
    "I5": exhibit("B6").edits,
    "I6": (Edit("        running = worker.current_work is work\n", "        running = False\n"),),
    "I7": exhibit("B1").edits,
    "I8": (Edit("            first = worker.work_list.next\n", "            first = worker.work_list.prev\n"),),
    "I9": (Edit('                trace("sched_kthread_work_execute_end", worker, {', "                str({"),),
    "I10": exhibit("B2").edits,
}


@pytest.mark.parametrize("name", INVARIANTS)
def test_a_broken_invariant_is_named(name: str) -> None:
    w = make_variant(f"without {name}", BROKEN[name])
    scenario = delayed if name in ("I1", "I5") else two_works
    verdict = check(lambda: scenario(w), invariants=True, executions=500)
    assert verdict.bug is not None
    assert (verdict.bug.kind, verdict.bug.sentence.split()[0]) == ("invariant", name), verdict
    alone = check(lambda: scenario(w), invariants=(name,), executions=500)
    assert alone.bug is not None
    again = replay(lambda: scenario(w), alone.schedule, Options(invariants=(name,)))
    assert str(again.bug) == str(alone.bug)


@pytest.mark.parametrize("strategy", [SleepSets, Dpor, MergingDpor])
def test_strategies_that_could_miss_one_are_refused(strategy: Callable[[], Strategy]) -> None:
    """What breaks I6, "the cancel has returned and the work still runs", lies between two steps of two tasks, which
    cannot notice each other: DPOR comes to its end without it."""
    w = make_variant("without I6", BROKEN["I6"])
    with pytest.raises(ValueError, match="looks at all tasks at once"):
        check(lambda: two_works(w), invariants=("I6",), strategy=strategy())
    assert check(lambda: two_works(w), invariants=("I6",), strategy=Merging()).bug is not None


def test_a_work_that_runs_twice() -> None:
    w = make_variant(
        "twice", (Edit("                func(work)\n", "                func(work)\n                func(work)\n"),)
    )
    verdict = check(lambda: two_works(w), invariants=True)
    assert verdict.bug is not None
    assert verdict.bug.kind == "double run"
    assert "body runs on worker, and was not queued for this run" in verdict.bug.sentence


def test_only_what_was_switched_on_is_watched() -> None:
    w = make_variant("without I10", BROKEN["I10"])
    assert check(lambda: two_works(w), invariants=("I5", "I7"), executions=100).ok


def test_the_module_is_as_it_was_afterwards() -> None:
    before = dict(vars(kwlab.worker))
    assert check(lambda: two_works(kwlab.worker), invariants=True, executions=20).ok
    assert dict(vars(kwlab.worker)) == before


@pytest.mark.parametrize("shown", EXHIBITS, ids=lambda shown: shown.name)
def test_the_shipped_worker_keeps_them_all(shown: Exhibit) -> None:
    verdict = check(shown.right, invariants=True, races=True, executions=60)
    assert verdict.ok, verdict
    assert not verdict.notes, "every state had a key"


def test_a_name_that_is_no_invariant() -> None:
    with pytest.raises(ValueError, match=r"invariants=\['I11'\].* I1, I2"):
        check(lambda: None, invariants=("I11",))
