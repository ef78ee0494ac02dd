"""DPOR on the graph of states: how much it tries, and that it needs what it adds to the two."""

from typing import Any

import pytest
from loops import double_run, lost_stop, lost_wakeup
from test_merging import PROGRAMS, a_list_of_arguments, correct_loop, endings, two_loops_over_equal_items

from kwlab import (
    TASK_INTERRUPTIBLE,
    TASK_RUNNING,
    TASK_UNINTERRUPTIBLE,
    completion_done,
    cond_resched,
    current,
    init_completion,
    kthread_run,
    raw_spin_lock_init,
    set_current_state,
    wake_up_process,
)
from kwlab.explore import Options, check, join
from kwlab.explore.dpor import Dpor
from kwlab.explore.engine import search
from kwlab.explore.merging import Merging
from kwlab.explore.merging_dpor import MergingDpor
from kwlab.explore.state import StateKeys
from kwlab.tracepoint import record


def effort(works: int, clients: int = 0) -> tuple[int, int]:
    strategy = MergingDpor()
    found = search(correct_loop(works, clients), strategy, Options())
    assert found.complete
    assert found.bug is None
    assert strategy.guarantee() == "all interleavings, up to the order of steps that cannot notice each other"
    assert strategy.opaque == []
    return found.executions, strategy.states


def test_a_complete_search_is_small() -> None:
    assert effort(2, clients=2)[0] <= 37  # merging alone: 2,304
    assert effort(3, clients=2)[0] <= 127  # merging alone: 5,768
    assert effort(32)[0] <= 600  # merging alone: 1,894


@pytest.mark.parametrize("works", [4, 8, 16])
def test_what_a_complete_search_needs(works: int) -> None:
    """The worker has slept since work number j, main has queued up to number i by the time it looks: a state for each
    such interval. An execution that comes through one of them has slept again only behind i, so none comes through two
    intervals that overlap, and those around the middle all do: no fewer than n * n / 4 executions go everywhere."""
    at_least = works * works / 4
    assert at_least <= effort(works)[0] <= at_least + 2 * works + 2


@pytest.mark.slow
def test_six_works_and_four_tasks() -> None:
    assert effort(6, clients=2)[0] <= 3_319  # merging alone does not come to an end in 34,000


def test_on_both_backends_the_same() -> None:
    results = []
    for backend in ("greenlet", "thread"):
        strategy = MergingDpor()
        found = search(correct_loop(2, 1), strategy, Options(backend=backend))
        results.append((found.executions, found.steps, strategy.states, found.complete))
    assert results[0] == results[1]


# What these write into their common list, no lock and no other operation puts in order: DPOR cannot notice it.
UNORDERED = (two_loops_over_equal_items, a_list_of_arguments)


@pytest.mark.parametrize("body", [body for body in PROGRAMS if body not in UNORDERED], ids=lambda body: body.__name__)
def test_it_loses_no_ending_that_dpor_finds(body: Any) -> None:
    assert endings(body, MergingDpor())[0] == endings(body, Dpor())[0]


@pytest.mark.parametrize("body", UNORDERED, ids=lambda body: body.__name__)
def test_it_is_blind_to_plain_lists(body: Any) -> None:
    assert endings(body, MergingDpor())[0] < endings(body, Merging())[0]


@pytest.mark.parametrize(
    ("scenario", "kind", "executions"),
    [(lost_wakeup, "lost wake-up", 5), (lost_stop, "lost wake-up", 7), (double_run, "assertion", 2)],
    ids=["lost wake-up", "lost stop", "double run"],
)
def test_the_classic_bugs_are_found_soon(scenario: Any, kind: str, executions: int) -> None:
    verdict = check(scenario, strategy=MergingDpor(), executions=executions)
    assert verdict.bug is not None
    assert verdict.bug.kind == kind


def goes_round_beside_a_failure() -> None:
    never, other = init_completion("never"), raw_spin_lock_init("other")

    def fail(_: object) -> None:
        with other:
            pass
        raise AssertionError

    kthread_run(fail, None, "fails")
    while True:
        completion_done(never)
        cond_resched()


def test_who_goes_round_does_not_put_off_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    found = search(goes_round_beside_a_failure, MergingDpor(), Options(limit=400))
    assert found.bug is not None
    assert found.bug.kind == "assertion"
    monkeypatch.setattr(MergingDpor, "_try_everybody_on_rounds", lambda self: None)
    found = search(goes_round_beside_a_failure, MergingDpor(), Options(limit=400))
    assert found.bug is None or found.bug.kind != "assertion"


def test_states_with_other_keys_are_other_states() -> None:
    def scenario() -> None:
        made: dict[str, Any] = {"a": None, "b": None}
        lock = raw_spin_lock_init("lock")

        def client(name: str) -> None:
            with lock:
                made[name] = init_completion(name)
            with lock:
                pass

        join(*(kthread_run(client, name, name) for name in "ab"))

    states = []
    for identities in (False, True):
        strategy = Merging()
        strategy._keys = StateKeys(identities)
        assert search(scenario, strategy, Options()).complete
        states.append(strategy.states)
    assert states[0] < states[1]


@pytest.mark.parametrize("strategy", [Merging, MergingDpor])
def test_a_probe_sees_what_a_wake_up_finds(strategy: Any) -> None:
    found = set()

    def scenario() -> None:
        def waker(task: Any) -> None:
            with record() as recorder:
                wake_up_process(task)
            found.update(event.fields["state"] for event in recorder.select("sched_waking"))

        client = kthread_run(waker, current(), "client")
        for state in (TASK_INTERRUPTIBLE, TASK_RUNNING, TASK_UNINTERRUPTIBLE, TASK_RUNNING):
            set_current_state(state)
        join(client)

    assert search(scenario, strategy(), Options()).complete
    assert found == {"S", "D", "R"}


def test_a_weaker_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="knows no store buffers"):
        check(lambda: None, strategy=MergingDpor(), memory="tso")
