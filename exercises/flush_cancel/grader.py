"""Points for flush_cancel: the answer's flush and cancel beside the worker's own loop and queueing."""

from typing import Any

from kwlab import (
    DEFINE_KTHREAD_WORK,
    KthreadWork,
    KthreadWorker,
    ListHead,
    Struct,
    complete,
    container_of,
    init_completion,
    kthread_create,
    kthread_init_work,
    kthread_init_worker,
    kthread_queue_work,
    kthread_run,
    kthread_stop,
    kthread_worker_fn,
    list_add_tail,
    list_empty,
    wait_for_completion,
    wake_up_process,
)
from kwlab.explore import join
from kwlab.explore.quiet import settle
from kwlab.grade.testing import FATAL, Boxed, Functions, points, promise


class FlushWork(Struct):
    """What the notebook defines: a work that completes `done` when its turn comes."""

    work: KthreadWork
    done: Any


def flush_turn(work: KthreadWork) -> None:
    complete(container_of(work, FlushWork, "work").done)


def new_flush_work() -> FlushWork:
    flush = FlushWork()
    flush.done = init_completion("flush")
    kthread_init_work(flush.work, flush_turn)
    return flush


def insert_work(worker: KthreadWorker, work: KthreadWork, before: ListHead) -> None:
    worker.lock.assert_held()
    list_add_tail(work.node, before)
    work.worker = worker
    if worker.current_work is None and worker.task is not None:
        wake_up_process(worker.task)


HELPERS = {"insert_work": insert_work, "new_flush_work": new_flush_work}


class Scene:
    """A worker, and what has run on it."""

    def __init__(self, started: bool = True) -> None:
        self.ran: list[str] = []
        self.worker = KthreadWorker()
        kthread_init_worker(self.worker)
        self.worker.task = kthread_create(kthread_worker_fn, self.worker, "worker")
        self.task = self.worker.task
        if started:
            wake_up_process(self.task)

    def work(self, name: str, gate: Any = None) -> KthreadWork:
        """A work that notes its name; it waits for `gate` before that."""

        def note(work: KthreadWork) -> None:
            if gate is not None:
                wait_for_completion(gate)
            self.ran.append(name)

        return DEFINE_KTHREAD_WORK(note)

    def queue(self, *works: KthreadWork) -> None:
        for work in works:
            kthread_queue_work(self.worker, work)

    def end(self) -> None:
        kthread_stop(self.task)
        self.worker.work_list.next = self.worker.work_list.prev = self.worker.work_list  # what was not run stays so


# ------------------------------------------------------------------------------------------------------- scenarios


def flush_pending(answer: Functions) -> None:
    """Main queues A and B and calls flush_work(A)."""
    scene = Scene()
    first, second = scene.work("A"), scene.work("B")
    scene.queue(first, second)
    answer.flush_work(first)
    promise("A" in scene.ran, "too early", "flush_work(A) came back, and A had not run")
    scene.end()


def flush_waits_for_no_more(answer: Functions) -> None:
    """Main queues A and B, calls flush_work(A), and only then opens the gate that B waits at."""
    scene = Scene()
    gate = init_completion("gate of B")
    first, second = scene.work("A"), scene.work("B", gate)
    scene.queue(first, second)
    answer.flush_work(first)
    promise("A" in scene.ran, "too early", "flush_work(A) came back, and A had not run")
    complete(gate)
    scene.end()


def flush_running(answer: Functions) -> None:
    """A runs and waits at a gate, B is queued and waits at another; main calls flush_work(A), a client lets A go on."""
    scene = Scene()
    gate_a, gate_b = init_completion("gate of A"), init_completion("gate of B")
    first, second = scene.work("A", gate_a), scene.work("B", gate_b)
    scene.queue(first, second)
    settle()
    opener = kthread_run(lambda data: complete(gate_a) or 0, None, "opener")
    answer.flush_work(first)
    promise(scene.ran[:1] == ["A"], "too early", "flush_work(A) came back while A was running")
    complete(gate_b)
    join(opener)
    scene.end()


def flush_running_and_pending(answer: Functions) -> None:
    """A runs and is queued once more; main calls flush_work(A)."""
    scene = Scene()
    gate = init_completion("gate of A")
    first = scene.work("A", gate)
    scene.queue(first)
    settle()
    scene.queue(first)
    complete(gate)
    complete(gate)
    answer.flush_work(first)
    promise(
        scene.ran == ["A", "A"],
        "too early",
        f"A was owed two runs; when flush_work(A) came back it had {len(scene.ran)}",
    )
    scene.end()


def flush_idle(answer: Functions) -> None:
    """Main calls flush_work() for a work that was never queued, and for one that has run, while B waits at a gate."""
    scene = Scene()
    gate = init_completion("gate of B")
    never, idle, other = scene.work("never"), scene.work("A"), scene.work("B", gate)
    scene.queue(idle)
    scene.queue(other)
    answer.flush_work(idle)
    answer.flush_work(idle)
    answer.flush_work(never)
    complete(gate)
    scene.end()


def cancel_pending(answer: Functions) -> None:
    """B waits at a gate and A is queued behind it; main calls cancel_work(A), then opens the gate."""
    scene = Scene()
    gate = init_completion("gate of B")
    first, other = scene.work("A"), scene.work("B", gate)
    scene.queue(other)
    settle()
    scene.queue(first)
    cancelled = answer.cancel_work(first)
    promise(cancelled is True, "returns", f"A was pending, and cancel_work(A) returned {cancelled!r}")
    again = answer.cancel_work(first)
    promise(again is False, "returns", f"A was idle, and cancel_work(A) returned {again!r}")
    complete(gate)
    kthread_stop(scene.task)
    promise("A" not in scene.ran, "cancelled", "A was cancelled, and ran")


def cancel_running(answer: Functions) -> None:
    """A runs and waits at a gate that a client opens; main calls cancel_work(A)."""
    scene = Scene()
    gate = init_completion("gate of A")
    first = scene.work("A", gate)
    scene.queue(first)
    settle()
    opener = kthread_run(lambda data: complete(gate) or 0, None, "opener")
    cancelled = answer.cancel_work(first)
    promise(cancelled is False, "returns", f"A was running, not pending, and cancel_work(A) returned {cancelled!r}")
    promise(scene.ran == ["A"], "too early", "cancel_work(A) came back while A was running")
    promise(first.canceling == 0, "canceling", f"after the cancel, canceling is {first.canceling}, not 0")
    join(opener)
    scene.end()


def cancel_at_any_time(answer: Functions) -> None:
    """Main queues A and calls cancel_work(A) at once."""
    scene = Scene()
    first = scene.work("A")
    scene.queue(first)
    cancelled = answer.cancel_work(first)
    before = list(scene.ran)
    promise(
        cancelled is (before == []), "returns", f"A ran {len(before)} times, and cancel_work(A) returned {cancelled!r}"
    )
    promise(first.canceling == 0, "canceling", f"after the cancel, canceling is {first.canceling}, not 0")
    scene.queue(first)
    with scene.worker.lock:
        queued = not list_empty(first.node) or scene.ran != before or scene.worker.current_work is first
    promise(queued, "canceling", "after the cancel A could not be queued again")
    scene.end()


def cancel_what_queues_itself(answer: Functions) -> None:
    """A queues itself again whenever it runs, and main cancels it."""
    scene = Scene()
    begun = init_completion("A has begun")
    runs: list[int] = []

    def again(work: KthreadWork) -> None:
        runs.append(1)
        if len(runs) == 1:
            complete(begun)
        if len(runs) < 4:
            kthread_queue_work(scene.worker, work)

    work = DEFINE_KTHREAD_WORK(again)
    scene.queue(work)
    wait_for_completion(begun)
    answer.cancel_work(work)
    with scene.worker.lock:
        promise(list_empty(work.node), "cancelled", "cancel_work(A) came back, and A is on the list")
    before = len(runs)
    kthread_stop(scene.task)
    promise(len(runs) == before, "cancelled", "cancel_work(A) came back, and A ran again")


# ----------------------------------------------------------------------------------------------------------- tests


@points(2, part=1, caps=True)
def test_a_pending_work_has_run(answer: Boxed) -> None:
    """When `flush_work` of a pending work comes back, that work has run; and it does come back."""
    answer.explore(flush_pending, HELPERS).excludes(*FATAL, "too early", "exception")


@points(2, part=1)
def test_it_waits_for_no_more_than_it_must(answer: Boxed) -> None:
    """It does not wait for works behind it, nor for an idle work, nor for one that was never queued."""
    answer.explore(flush_waits_for_no_more, HELPERS).excludes(*FATAL)
    answer.explore(flush_idle, HELPERS).excludes(*FATAL, "exception")


@points(2, part=1)
def test_a_running_work_has_ended(answer: Boxed) -> None:
    """Of a work that runs it waits for the end, and not for what is queued behind it."""
    answer.explore(flush_running, HELPERS).excludes(*FATAL, "too early", "exception")


@points(1, part=1)
def test_both_runs_are_waited_for(answer: Boxed) -> None:
    """If the work runs and is queued once more, both runs are over."""
    answer.explore(flush_running_and_pending, HELPERS).excludes(*FATAL, "too early")


@points(2, part=2, caps=True)
def test_a_pending_work_never_runs(answer: Boxed) -> None:
    """`cancel_work` of a pending work: that run does not happen, and it does not wait for others."""
    answer.explore(cancel_pending, HELPERS).excludes(*FATAL, "cancelled", "exception")


@points(2, part=2)
def test_a_running_work_is_over(answer: Boxed) -> None:
    """Of a work that runs it waits for the end."""
    answer.explore(cancel_running, HELPERS).excludes(*FATAL, "too early", "exception")


@points(1, part=2)
def test_it_returns_whether_it_was_pending(answer: Boxed) -> None:
    """It returns True if it took the work off the list, else False."""
    for scenario in (cancel_pending, cancel_running, cancel_at_any_time):
        answer.explore(scenario, HELPERS).excludes("returns")


@points(1, part=2)
def test_a_work_cannot_queue_itself_meanwhile(answer: Boxed) -> None:
    """While it waits, nobody can queue the work, not even the work itself."""
    answer.explore(cancel_what_queues_itself, HELPERS).excludes("cancelled", "exception")


@points(1, part=2)
def test_afterwards_it_can_be_queued_again(answer: Boxed) -> None:
    """When it has come back, `canceling` is as it was, and the work can be queued again."""
    answer.explore(cancel_at_any_time, HELPERS).excludes("canceling")
    answer.explore(cancel_running, HELPERS).excludes("canceling")
