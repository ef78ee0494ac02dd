"""Fields that the kernel accesses with no lock on purpose: which order they are accessed in is not left out."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from kwlab import (
    DEFINE_KTHREAD_WORK,
    KthreadWork,
    KthreadWorker,
    kfree,
    kthread_cancel_work_sync,
    kthread_create_worker,
    kthread_destroy_worker,
    kthread_flush_work,
    kthread_queue_work,
    kthread_run,
    kthread_run_worker,
)
from kwlab.explore import Options, check, join
from kwlab.explore.dpor import Dpor
from kwlab.explore.engine import search
from kwlab.explore.merging import Merging
from kwlab.explore.merging_dpor import MergingDpor
from kwlab.explore.sleep_sets import SleepSets
from kwlab.struct import poisoning


def flush(work: KthreadWork, runs: list[int]) -> int:
    kthread_flush_work(work)
    return len(runs)


def cancel(work: KthreadWork, runs: list[int]) -> bool:
    return kthread_cancel_work_sync(work)


# Both look at the work's worker with no lock, and have nothing to do if it has none.
@pytest.mark.parametrize(("call", "answers"), [(cancel, {False, True}), (flush, {0, 1})], ids=["cancel", "flush"])
@pytest.mark.parametrize("strategy", [Merging, SleepSets, Dpor, MergingDpor])
def test_which_comes_first_is_not_left_out(strategy: Any, call: Callable[..., Any], answers: set[Any]) -> None:
    seen = set()

    def scenario() -> None:
        worker, runs = kthread_create_worker(0, "worker"), list[int]()
        work = DEFINE_KTHREAD_WORK(lambda _: runs.append(1))

        def queues(_: object) -> None:
            kthread_queue_work(worker, work)

        def calls(_: object) -> None:
            seen.add(call(work, runs))

        join(kthread_run(queues, None, "queues"), kthread_run(calls, None, "calls"))
        kthread_destroy_worker(worker)

    found = search(scenario, strategy(), Options())
    assert found.complete
    assert found.bug is None
    assert seen == answers


@pytest.mark.parametrize("strategy", [SleepSets, Dpor, MergingDpor])
def test_nor_that_the_struct_is_freed_first(strategy: Any) -> None:
    def scenario() -> None:
        work = DEFINE_KTHREAD_WORK(lambda _: None)

        def cancels(_: object) -> None:
            kthread_cancel_work_sync(work)

        def frees(_: object) -> None:
            kfree(work)

        join(kthread_run(cancels, None, "cancels"), kthread_run(frees, None, "frees"))

    verdict = check(scenario, strategy=strategy())
    assert verdict.bug is not None
    assert verdict.bug.kind == "use after free"


def test_accesses_are_told_only_while_such_a_strategy_searches() -> None:
    plain = {
        (cls, name): vars(cls)[name] for cls in (KthreadWork, KthreadWorker) for name in cls.DATA_RACY - cls.SET_ONCE
    }
    seen = []

    def scenario() -> None:
        seen.append([vars(cls)[name] is slot for (cls, name), slot in plain.items()])

    check(scenario, strategy=Merging(), executions=1)
    check(scenario, strategy=Dpor(), executions=1)
    assert all(seen[0])
    assert not any(seen[1])
    assert all(vars(cls)[name] is slot for (cls, name), slot in plain.items())
    assert poisoning == []


def test_what_nobody_can_reach_tells_no_states_apart() -> None:
    """Each flush has a work of its own, with fields and keys of its own, which is gone once it is over."""

    def scenario(flushes: int) -> None:
        worker = kthread_run_worker(0, "worker")
        work = DEFINE_KTHREAD_WORK(lambda _: None)
        for _ in range(flushes):
            kthread_queue_work(worker, work)
            kthread_flush_work(work)
        kthread_destroy_worker(worker)

    for flushes in (1, 6):
        found = search(partial(scenario, flushes), MergingDpor(), Options(), executions=7)
        assert found.complete
