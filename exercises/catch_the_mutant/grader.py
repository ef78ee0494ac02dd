"""Points for catch_the_mutant: the answer's scenarios, with the right worker and with wrong ones."""

import random
from collections.abc import Callable
from types import ModuleType
from typing import Any

import kwlab.worker
from kwlab import KthreadWork, complete, wait_for_completion
from kwlab.grade.hidden import hidden
from kwlab.grade.testing import Boxed, Failed, Functions, points
from kwlab.museum.variant import Edit, make_variant

WRONG = hidden(__file__)
QUEUEING, WAITING = WRONG.QUEUEING, WRONG.WAITING
EACH = 4  # wrong workers for one learner, of each kind


def chosen(answer: Boxed, wrong: dict[str, Edit]) -> list[tuple[str, Edit]]:
    """The wrong workers of this learner."""
    return random.Random(f"{answer.seed} {len(wrong)}").sample(list(wrong.items()), EACH)


class Notes:
    """What has run, in this interleaving."""

    def __init__(self) -> None:
        self.names: list[str] = []


def helpers(notes: Notes, worker: ModuleType) -> dict[str, Any]:
    """What the notebook defines, for a scenario with this worker."""

    def ran() -> list[str]:
        return list(notes.names)

    def new_work(name: str) -> KthreadWork:
        return gated_work(name, None, None)

    def gated_work(name: str, begun: Any, gate: Any) -> KthreadWork:
        def note(work: KthreadWork) -> None:
            if begun is not None:
                complete(begun)
            if gate is not None:
                wait_for_completion(gate)
            notes.names.append(name)

        return worker.DEFINE_KTHREAD_WORK(note)

    def twice_work(name: str) -> KthreadWork:
        def note(work: KthreadWork) -> None:
            notes.names.append(name)
            if notes.names.count(name) < 2:
                worker.kthread_queue_work(work.worker, work)

        return worker.DEFINE_KTHREAD_WORK(note)

    given = (
        "kthread_cancel_work_sync kthread_destroy_worker kthread_flush_work kthread_flush_worker kthread_queue_work "
        "kthread_run_worker"
    )
    functions = {name: getattr(worker, name) for name in given.split()}
    mine = {"ran": ran, "new_work": new_work, "gated_work": gated_work, "twice_work": twice_work}
    return functions | mine


def with_worker(function: str, name: str, about: str, notes: Notes) -> Callable[[Functions], None]:
    """The scenario `function` of the answer, with the worker that is called `name`."""

    def scenario(answer: Functions) -> None:
        notes.names.clear()
        getattr(answer, function)()

    scenario.__name__, scenario.__doc__ = f"{function} {name}", f"{function}() with {about}."
    return scenario


def passes(answer: Boxed, function: str) -> None:
    """With the right worker nothing may go wrong."""
    notes = Notes()
    scenario = with_worker(function, "right", "the right worker", notes)
    answer.explore(scenario, helpers(notes, kwlab.worker)).excludes_all()


def catches(answer: Boxed, function: str, wrong: dict[str, Edit], number: int) -> None:
    """With the right worker nothing goes wrong, and with this one something does."""
    passes(answer, function)
    name, edit = chosen(answer, wrong)[number]
    notes = Notes()
    scenario = with_worker(function, str(number), f"wrong worker {number + 1}", notes)
    variant = make_variant(f"wrong worker {number + 1}", (edit,))
    found = answer.explore(scenario, helpers(notes, variant))
    if not found.bugs:
        raise Failed(
            called=scenario.__doc__ or "", came="nothing went wrong", expected="something goes wrong", message=name
        )


@points(1, part=1)
def test_the_right_worker_queues_well(answer: Boxed) -> None:
    """With the right worker nothing goes wrong in `catch_queueing`, and it does queue."""
    passes(answer, "catch_queueing")
    catches_something(answer, "catch_queueing", QUEUEING)


@points(1, part=1)
def test_queueing_mutant_1(answer: Boxed) -> None:
    """It catches the first wrong worker."""
    catches(answer, "catch_queueing", QUEUEING, 0)


@points(1, part=1)
def test_queueing_mutant_2(answer: Boxed) -> None:
    """It catches the second wrong worker."""
    catches(answer, "catch_queueing", QUEUEING, 1)


@points(1, part=1)
def test_queueing_mutant_3(answer: Boxed) -> None:
    """It catches the third wrong worker."""
    catches(answer, "catch_queueing", QUEUEING, 2)


@points(2, part=1)
def test_queueing_mutant_4(answer: Boxed) -> None:
    """It catches the fourth wrong worker."""
    catches(answer, "catch_queueing", QUEUEING, 3)


@points(1, part=2)
def test_the_right_worker_waits_well(answer: Boxed) -> None:
    """With the right worker nothing goes wrong in `catch_waiting`, and it does wait."""
    passes(answer, "catch_waiting")
    catches_something(answer, "catch_waiting", WAITING)


@points(1, part=2)
def test_waiting_mutant_1(answer: Boxed) -> None:
    """It catches the first wrong worker."""
    catches(answer, "catch_waiting", WAITING, 0)


@points(1, part=2)
def test_waiting_mutant_2(answer: Boxed) -> None:
    """It catches the second wrong worker."""
    catches(answer, "catch_waiting", WAITING, 1)


@points(1, part=2)
def test_waiting_mutant_3(answer: Boxed) -> None:
    """It catches the third wrong worker."""
    catches(answer, "catch_waiting", WAITING, 2)


@points(2, part=2)
def test_waiting_mutant_4(answer: Boxed) -> None:
    """It catches the fourth wrong worker."""
    catches(answer, "catch_waiting", WAITING, 3)


def catches_something(answer: Boxed, function: str, wrong: dict[str, Edit]) -> None:
    """A scenario that does nothing passes with every worker: that is no scenario yet."""
    for number in range(EACH):
        try:
            catches(answer, function, wrong, number)
        except Failed:
            continue
        return
    raise Failed(called=f"{function}()", came="nothing went wrong with any worker", expected="it tells them apart")
