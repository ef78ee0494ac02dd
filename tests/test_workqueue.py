"""The workqueue analogue keeps the kernel's promises about pending works, flushing, cancelling and draining."""

import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kwlab import workqueue
from kwlab.bug import WARN_ON
from kwlab.errors import DeadlockError, KernelWarning, UseAfterFree
from kwlab.runtime.clock import SteppedClock
from kwlab.runtime.threads import ThreadRuntime
from kwlab.struct import Struct, container_of, kfree
from kwlab.timer import timer_pending
from kwlab.workqueue import (
    INIT_DELAYED_WORK,
    INIT_WORK,
    WQ_HIGHPRI,
    WQ_UNBOUND,
    DelayedWork,
    WorkqueueStruct,
    WorkStruct,
    alloc_ordered_workqueue,
    alloc_workqueue,
    cancel_delayed_work_sync,
    cancel_work_sync,
    delayed_work_pending,
    delayed_work_timer_fn,
    destroy_workqueue,
    flush_delayed_work,
    flush_work,
    flush_workqueue,
    mod_delayed_work,
    queue_delayed_work,
    queue_work,
    work_pending,
)

pytestmark = pytest.mark.threads

LIMIT = 20.0  # seconds; nothing here takes longer unless it hangs


def new_work(func: Callable[[WorkStruct], object]) -> WorkStruct:
    work = WorkStruct()
    INIT_WORK(work, func)
    return work


def new_delayed_work(func: Callable[[WorkStruct], object]) -> DelayedWork:
    dwork = DelayedWork()
    INIT_DELAYED_WORK(dwork, func)
    return dwork


class Gate:
    """A work that announces each of its runs and then waits for a permit. It fails if two runs overlap."""

    def __init__(self) -> None:
        self.work = new_work(self.run)
        self.begun, self.permits = threading.Semaphore(0), threading.Semaphore(0)
        self.runs, self.inside, self.overlaps = 0, 0, 0

    def run(self, work: WorkStruct) -> None:
        self.inside += 1
        self.overlaps += self.inside > 1
        self.begun.release()
        assert self.permits.acquire(timeout=LIMIT)
        self.runs += 1
        self.inside -= 1

    def wait_until_it_runs(self) -> None:
        assert self.begun.acquire(timeout=LIMIT)

    def open(self, times: int = 1) -> None:
        self.permits.release(times)


class Background:
    """A call in a thread of its own."""

    def __init__(self, call: Callable[..., Any], *args: Any) -> None:
        self.result: Any = None
        self.thread = threading.Thread(target=self._run, args=(call, args))
        self.thread.start()

    def _run(self, call: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.result = call(*args)

    def join(self) -> Any:
        self.thread.join(LIMIT)
        assert not self.thread.is_alive()
        return self.result

    def waits(self) -> bool:
        return self.thread.is_alive()


def threads_of(name: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(f"{name}_")]


def wait_for(condition: Callable[[], object]) -> None:
    """Until `condition` holds; for what another thread does before it goes to sleep."""
    never = threading.Event()
    for _ in range(int(LIMIT * 1000)):
        if condition():
            return
        never.wait(0.001)
    pytest.fail("did not happen within the limit")


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open(100)


@pytest.fixture
def wq(gate: Gate) -> Iterator[WorkqueueStruct]:
    wq = alloc_workqueue("events", 0, 4)
    yield wq
    gate.open(100)
    destroy_workqueue(wq)
    assert threads_of("events") == []


@pytest.fixture
def ordered(gate: Gate) -> Iterator[WorkqueueStruct]:
    wq = alloc_ordered_workqueue("ordered")
    yield wq
    gate.open(100)
    destroy_workqueue(wq)
    assert threads_of("ordered") == []


# --------------------------------------------------------------------------------------------------------- pending


def test_a_pending_work_is_not_queued_again_and_runs_once(ordered: WorkqueueStruct, gate: Gate) -> None:
    ran: list[int] = []
    work = new_work(lambda work: ran.append(1))
    queue_work(ordered, gate.work)
    gate.wait_until_it_runs()
    assert not work_pending(work)
    assert queue_work(ordered, work) is True
    assert work_pending(work)
    assert [queue_work(ordered, work) for _ in range(3)] == [False, False, False]
    gate.open()
    assert flush_work(work) is True
    assert ran == [1]
    assert not work_pending(work)
    assert queue_work(ordered, work) is True


def test_a_running_work_may_be_queued_for_one_more_run_and_never_runs_beside_itself(
    wq: WorkqueueStruct, gate: Gate
) -> None:
    other_ran = threading.Event()
    queue_work(wq, gate.work)
    gate.wait_until_it_runs()
    assert queue_work(wq, gate.work) is True
    assert queue_work(wq, gate.work) is False
    # Another slot is free and takes this one, so it was free for the second run of the gate, too.
    queue_work(wq, new_work(lambda work: other_ran.set()))
    assert other_ran.wait(LIMIT)
    assert work_pending(gate.work)
    gate.open(2)
    flush_workqueue(wq)
    assert (gate.runs, gate.overlaps) == (2, 0)


def test_a_work_may_queue_itself(wq: WorkqueueStruct) -> None:
    answers: list[bool] = []

    def again(work: WorkStruct) -> None:
        if len(answers) < 100:
            answers.append(queue_work(wq, work))

    work = new_work(again)
    queue_work(wq, work)
    wait_for(lambda: len(answers) == 100)
    flush_work(work)
    assert answers == [True] * 100


def test_every_true_is_one_run_whoever_queues_and_cancels(wq: WorkqueueStruct) -> None:
    works, runs = [], [0] * 5

    def count(index: int) -> Callable[[WorkStruct], None]:
        def run(work: WorkStruct) -> None:
            before = runs[index]
            threading.Event().wait(0)  # give up the GIL: a second run beside this one would lose a count
            runs[index] = before + 1

        return run

    works = [new_work(count(index)) for index in range(5)]

    def produce() -> list[int]:
        return [sum(queue_work(wq, work) for _ in range(200)) for work in works]

    def cancel() -> list[int]:
        return [sum(cancel_work_sync(work) for _ in range(40)) for work in works]

    producers, cancellers = [Background(produce) for _ in range(3)], [Background(cancel) for _ in range(2)]
    queued = [sum(column) for column in zip(*(producer.join() for producer in producers), strict=True)]
    cancelled = [sum(column) for column in zip(*(canceller.join() for canceller in cancellers), strict=True)]
    flush_workqueue(wq)
    assert runs == [a - b for a, b in zip(queued, cancelled, strict=True)]
    assert not any(map(work_pending, works))


def test_a_callback_may_free_its_own_work_and_finds_its_struct(wq: WorkqueueStruct) -> None:
    class Request(Struct):
        work: WorkStruct
        number: int

    request, seen = Request(), []

    def run(work: WorkStruct) -> None:
        mine = container_of(work, Request, "work")
        seen.append(mine.number)
        kfree(mine)

    INIT_WORK(request.work, run)
    request.number = 7
    queue_work(wq, request.work)
    flush_workqueue(wq)
    assert seen == [7]
    with pytest.raises(UseAfterFree):
        queue_work(wq, request.work)


# ---------------------------------------------------------------------------------------------- order and max_active


def test_an_ordered_queue_keeps_the_order_of_queueing(ordered: WorkqueueStruct, gate: Gate) -> None:
    order: list[int] = []
    queue_work(ordered, gate.work)
    for number in range(300):
        queue_work(ordered, new_work(lambda work, number=number: order.append(number)))
    gate.open()
    flush_workqueue(ordered)
    assert order == list(range(300))


def test_no_more_than_max_active_works_run_at_once_and_that_many_do() -> None:
    wq = alloc_workqueue("three", WQ_UNBOUND, 3)
    counting, together = threading.Lock(), threading.Barrier(3)
    inside = peak = 0

    def run(work: WorkStruct) -> None:
        nonlocal inside, peak
        with counting:
            inside += 1
            peak = max(peak, inside)
        together.wait(LIMIT)  # passes only if three are inside
        with counting:
            inside -= 1

    for _ in range(60):
        queue_work(wq, new_work(run))
    destroy_workqueue(wq)
    assert peak == 3
    assert not together.broken


# ---------------------------------------------------------------------------------------------------------- flushing


def test_flush_work_waits_for_a_run_and_returns_false_when_idle(wq: WorkqueueStruct, gate: Gate) -> None:
    assert flush_work(gate.work) is False  # never queued
    queue_work(wq, gate.work)
    gate.wait_until_it_runs()
    flusher = Background(flush_work, gate.work)
    wait_for(lambda: wq.running[gate.work].barriers)
    assert flusher.waits()
    gate.open()
    assert flusher.join() is True
    assert gate.runs == 1
    assert flush_work(gate.work) is False


def test_flush_work_waits_for_the_run_that_is_owed_and_not_for_later_ones(wq: WorkqueueStruct, gate: Gate) -> None:
    queue_work(wq, gate.work)
    gate.wait_until_it_runs()
    queue_work(wq, gate.work)
    flusher = Background(flush_work, gate.work)
    wait_for(lambda: gate.work.barriers)
    gate.open()
    gate.wait_until_it_runs()
    assert flusher.waits()
    queue_work(wq, gate.work)  # a third run, which nobody asked to wait for
    gate.open()
    gate.wait_until_it_runs()
    assert flusher.join() is True
    assert gate.runs == 2


def test_flush_workqueue_waits_for_what_is_there_and_not_for_what_comes(wq: WorkqueueStruct, gate: Gate) -> None:
    later, ran = Gate(), []
    queue_work(wq, gate.work)
    gate.wait_until_it_runs()
    queue_work(wq, gate.work)  # comes up while it runs, so it is on no list
    wait_for(lambda: wq.running[gate.work].again)
    for number in range(10):
        queue_work(wq, new_work(lambda work, number=number: ran.append(number)))
    flusher = Background(flush_workqueue, wq)
    wait_for(lambda: gate.work.barriers)
    queue_work(wq, later.work)
    later.wait_until_it_runs()
    assert flusher.waits()
    gate.open(2)
    flusher.join()
    assert sorted(ran) == list(range(10))
    assert gate.runs == 2
    assert later.runs == 0
    later.open()


# --------------------------------------------------------------------------------------------------------- cancelling


def test_cancel_takes_back_a_pending_work(ordered: WorkqueueStruct, gate: Gate) -> None:
    ran: list[int] = []
    work = new_work(lambda work: ran.append(1))
    assert cancel_work_sync(work) is False
    queue_work(ordered, gate.work)
    queue_work(ordered, work)
    flusher = Background(flush_work, work)
    wait_for(lambda: work.barriers)
    assert cancel_work_sync(work) is True
    flusher.join()
    assert cancel_work_sync(work) is False
    gate.open()
    flush_workqueue(ordered)
    assert ran == []
    assert queue_work(ordered, work) is True


def test_cancel_waits_for_a_running_work_which_nobody_can_queue_meanwhile(wq: WorkqueueStruct, gate: Gate) -> None:
    queue_work(wq, gate.work)
    gate.wait_until_it_runs()
    canceller = Background(cancel_work_sync, gate.work)
    wait_for(lambda: gate.work.disable)
    assert queue_work(wq, gate.work) is False
    assert canceller.waits()
    gate.open()
    assert canceller.join() is False
    assert gate.runs == 1
    assert queue_work(wq, gate.work) is True


def test_cancel_of_a_running_work_that_is_owed_another_run_takes_that_back(wq: WorkqueueStruct, gate: Gate) -> None:
    queue_work(wq, gate.work)
    gate.wait_until_it_runs()
    queue_work(wq, gate.work)
    wait_for(lambda: wq.running[gate.work].again)
    flusher = Background(flush_work, gate.work)
    wait_for(lambda: gate.work.barriers)
    canceller = Background(cancel_work_sync, gate.work)
    wait_for(lambda: not work_pending(gate.work))
    assert flusher.waits()  # a flush ends with the work idle, and it still runs
    gate.open()
    assert canceller.join() is True
    assert flusher.join() is True
    flush_workqueue(wq)
    assert gate.runs == 1


# ------------------------------------------------------------------------------------------------------ delayed works


class Stepped:
    """A queue in a runtime whose time passes when told, and a delayed work that counts its runs."""

    def __init__(self, runtime: ThreadRuntime, clock: SteppedClock) -> None:
        self.runtime, self.clock = runtime, clock
        self.wq = alloc_workqueue("stepped", 0, 2)
        self.runs = 0
        self.dwork = new_delayed_work(self.count)

    def count(self, work: WorkStruct) -> None:
        self.runs += 1

    def after(self, jiffies: int) -> int:
        """The number of runs, once so many jiffies have passed."""
        self.clock.step(jiffies)
        flush_workqueue(self.wq)
        return self.runs


@pytest.fixture
def stepped() -> Iterator[Stepped]:
    clock = SteppedClock()
    runtime = ThreadRuntime(clock=clock)
    with runtime:
        stepped = Stepped(runtime, clock)
        yield stepped
        cancel_delayed_work_sync(stepped.dwork)
        destroy_workqueue(stepped.wq)
    runtime.close()


def test_a_delayed_work_runs_when_its_time_has_come(stepped: Stepped) -> None:
    assert queue_delayed_work(stepped.wq, stepped.dwork, 10) is True
    assert delayed_work_pending(stepped.dwork)
    assert queue_delayed_work(stepped.wq, stepped.dwork, 1) is False
    assert queue_work(stepped.wq, stepped.dwork.work) is False
    assert stepped.after(9) == 0
    assert stepped.after(1) == 1
    assert not delayed_work_pending(stepped.dwork)
    assert stepped.after(100) == 1


def test_delay_zero_needs_no_timer(stepped: Stepped) -> None:
    assert queue_delayed_work(stepped.wq, stepped.dwork, 0) is True
    assert not timer_pending(stepped.dwork.timer)
    assert stepped.after(0) == 1


def test_mod_delayed_work_moves_the_time_and_says_whether_it_was_pending(stepped: Stepped) -> None:
    assert mod_delayed_work(stepped.wq, stepped.dwork, 10) is False
    assert mod_delayed_work(stepped.wq, stepped.dwork, 20) is True
    assert stepped.after(19) == 0
    assert stepped.after(1) == 1
    assert mod_delayed_work(stepped.wq, stepped.dwork, 5) is False
    assert mod_delayed_work(stepped.wq, stepped.dwork, 0) is True
    assert stepped.after(0) == 2
    assert stepped.after(10) == 2


def test_cancel_disarms_the_timer(stepped: Stepped) -> None:
    for cancel in (
        lambda: cancel_delayed_work_sync(stepped.dwork),
        lambda: cancel_work_sync(stepped.dwork.work),
    ):
        queue_delayed_work(stepped.wq, stepped.dwork, 10)
        assert cancel() is True
        assert not timer_pending(stepped.dwork.timer)
        assert cancel() is False
        assert stepped.after(20) == 0
    queue_delayed_work(stepped.wq, stepped.dwork, 10)
    assert stepped.after(10) == 1


def test_flush_delayed_work_does_not_wait_for_the_timer(stepped: Stepped) -> None:
    assert flush_delayed_work(stepped.dwork) is False
    queue_delayed_work(stepped.wq, stepped.dwork, 1000)
    assert flush_work(stepped.dwork.work) is False  # an armed timer is nothing that runs
    flush_delayed_work(stepped.dwork)
    assert stepped.runs == 1
    assert not timer_pending(stepped.dwork.timer)
    assert stepped.after(2000) == 1


def test_a_timer_callback_that_comes_too_late_changes_nothing(stepped: Stepped) -> None:
    # The callback was taken off the timer list and waits for the lock, while somebody cancels or re-arms.
    queue_delayed_work(stepped.wq, stepped.dwork, 10)
    cancel_delayed_work_sync(stepped.dwork)
    delayed_work_timer_fn(stepped.dwork.timer)
    assert stepped.after(0) == 0
    queue_delayed_work(stepped.wq, stepped.dwork, 10)
    mod_delayed_work(stepped.wq, stepped.dwork, 30)
    delayed_work_timer_fn(stepped.dwork.timer)
    assert stepped.after(29) == 0
    assert stepped.after(1) == 1


def test_cancel_waits_for_a_timer_callback_under_way(stepped: Stepped) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def slow(timer: Any) -> None:
        inside.set()
        assert go_on.wait(LIMIT)
        delayed_work_timer_fn(timer)

    stepped.dwork.timer.function = slow
    queue_delayed_work(stepped.wq, stepped.dwork, 10)

    def in_runtime(call: Callable[..., Any], *args: Any) -> Any:
        with stepped.runtime:
            return call(*args)

    interrupt = Background(in_runtime, stepped.clock.step, 10)
    assert inside.wait(LIMIT)
    canceller = Background(in_runtime, cancel_delayed_work_sync, stepped.dwork)
    wait_for(lambda: not delayed_work_pending(stepped.dwork))
    assert canceller.waits()
    assert queue_delayed_work(stepped.wq, stepped.dwork, 0) is False
    go_on.set()
    interrupt.join()
    assert canceller.join() is True
    assert stepped.after(0) == 0


def test_a_periodic_work_re_arms_itself_from_the_pool_in_its_queues_time(stepped: Stepped) -> None:
    def tick(work: WorkStruct) -> None:
        stepped.runs += 1
        queue_delayed_work(stepped.wq, container_of(work, DelayedWork, "work"), 10)

    INIT_DELAYED_WORK(stepped.dwork, tick)
    queue_delayed_work(stepped.wq, stepped.dwork, 10)
    assert [stepped.after(10) for _ in range(5)] == [1, 2, 3, 4, 5]


# -------------------------------------------------------------------------------------------------------------- destroy


def test_destroy_drains_what_works_queue_meanwhile_and_ends_the_threads() -> None:
    wq = alloc_workqueue("drained", 0, 2)
    left = [50, 50]

    def again(index: int) -> Callable[[WorkStruct], None]:
        def run(work: WorkStruct) -> None:
            left[index] -= 1
            if left[index]:
                assert queue_work(wq, work)

        return run

    for index in range(2):
        queue_work(wq, new_work(again(index)))
    destroy_workqueue(wq)
    assert left == [0, 0]
    assert threads_of("drained") == []
    with pytest.raises(UseAfterFree, match="WorkqueueStruct was freed in destroy_workqueue"):
        queue_work(wq, new_work(print))


def test_a_queue_that_drains_refuses_works_from_outside_with_a_warning(gate: Gate) -> None:
    wq = alloc_workqueue("refusing", 0, 2)
    queue_work(wq, gate.work)
    gate.wait_until_it_runs()
    destroyer = Background(destroy_workqueue, wq)
    wait_for(lambda: wq.draining)
    late = new_work(lambda work: None)
    with pytest.warns(KernelWarning, match="on the workqueue refusing, which is being destroyed"):
        assert queue_work(wq, late) is False
    assert not work_pending(late)
    assert destroyer.waits()
    gate.open()
    destroyer.join()
    assert threads_of("refusing") == []


# ------------------------------------------------------------------------------------------------------------- trouble


@pytest.mark.parametrize(
    "wait",
    [
        lambda wq, work: flush_work(work),
        lambda wq, work: cancel_work_sync(work),
        lambda wq, work: flush_workqueue(wq),
        lambda wq, work: destroy_workqueue(wq),
    ],
    ids=["flush_work", "cancel_work_sync", "flush_workqueue", "destroy_workqueue"],
)
def test_a_work_that_waits_for_itself_is_told(wq: WorkqueueStruct, wait: Callable[..., object]) -> None:
    told: list[str] = []

    def run(work: WorkStruct) -> None:
        with pytest.raises(DeadlockError) as raised:
            wait(wq, work)
        told.append(str(raised.value))

    work = new_work(run)
    queue_work(wq, work)
    flush_workqueue(wq)
    assert len(told) == 1
    assert "in a work of workqueue 'events' would wait for that same work" in told[0]
    assert work.disable == 0
    assert queue_work(wq, work) is True


def test_on_an_ordered_queue_a_work_must_not_wait_for_the_next(ordered: WorkqueueStruct) -> None:
    told: list[str] = []
    second = new_work(lambda work: None)

    def run(work: WorkStruct) -> None:
        queue_work(ordered, second)
        with pytest.raises(DeadlockError):
            flush_work(second)
        told.append("told")

    queue_work(ordered, new_work(run))
    flush_workqueue(ordered)
    flush_work(second)
    assert told == ["told"]


def test_a_work_may_wait_for_another_of_the_same_queue(wq: WorkqueueStruct, gate: Gate) -> None:
    waited: list[bool] = []
    queue_work(wq, gate.work)
    gate.wait_until_it_runs()
    queue_work(wq, new_work(lambda work: waited.append(flush_work(gate.work))))
    wait_for(lambda: wq.running[gate.work].barriers)
    gate.open()
    flush_workqueue(wq)
    assert waited == [True]


def test_what_goes_wrong_in_a_work_is_issued_at_the_next_flush_and_the_queue_lives_on(wq: WorkqueueStruct) -> None:
    ran: list[int] = []

    def fail(work: WorkStruct) -> None:
        raise ValueError("on purpose")

    def warn(work: WorkStruct) -> None:
        WARN_ON(True, "a WARN in a work")

    for func in (fail, warn):
        queue_work(wq, new_work(func))
    queue_work(wq, new_work(lambda work: ran.append(1)))
    with warnings.catch_warnings(record=True) as issued:
        warnings.simplefilter("always")
        flush_workqueue(wq)
    assert sorted(str(warning.message) for warning in issued) == [
        "a WARN in a work",
        "work fail on workqueue events: ValueError: on purpose",
    ]
    assert ran == [1]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: alloc_workqueue(""), ValueError, "a workqueue needs a name, not ''"),
        (lambda: alloc_workqueue("x", 1 << 3), ValueError, "workqueue flags 0x8: a pool can imitate"),
        (lambda: alloc_workqueue("x", 0, 2049), ValueError, "max_active 2049 is out of range: 1 to 2048"),
        (lambda: alloc_workqueue("x", 0, -1), ValueError, "max_active -1 is out of range"),
        (lambda: alloc_workqueue("x", 0, "many"), TypeError, "max_active must be a whole number, not 'many'"),
        (lambda: new_work(7), TypeError, "7 is not callable"),
    ],
)
def test_bad_arguments_are_named(make: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_what_is_no_queue_work_or_delay_is_named(wq: WorkqueueStruct, gate: Gate) -> None:
    dwork = new_delayed_work(lambda work: None)
    with pytest.raises(TypeError, match=r"work must be a WorkStruct, not .*\(pass its .work\)"):
        queue_work(wq, dwork)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="wq must be a WorkqueueStruct, not 3"):
        queue_work(3, gate.work)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"never initialised: call INIT_WORK\(work, func\)"):
        queue_work(wq, WorkStruct())
    with pytest.raises(TypeError, match=r"delay must be a whole number of jiffies, not 0\.5"):
        queue_delayed_work(wq, dwork, 0.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="delay -1 is out of range"):
        mod_delayed_work(wq, dwork, -1)
    assert not delayed_work_pending(dwork)
    with pytest.warns(KernelWarning, match="flush_work: the work was never initialised"):
        assert flush_work(WorkStruct()) is False
    queue_work(wq, gate.work)
    gate.wait_until_it_runs()
    queue_work(wq, gate.work)
    with pytest.raises(RuntimeError, match=r"INIT_WORK\(\) on .*pending.*: cancel_work_sync\(\) it first"):
        INIT_WORK(gate.work, print)


# ------------------------------------------------------------------------------------------------------------ priority


@pytest.mark.root
def test_highpri_threads_have_nice_minus_twenty() -> None:
    wq, seen = alloc_workqueue("urgent", WQ_HIGHPRI, 2), []
    queue_work(wq, new_work(lambda work: seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))))
    destroy_workqueue(wq)
    assert seen == [-20]


@pytest.mark.parametrize("action", ["always", "error"])
def test_highpri_that_is_not_permitted_says_so(monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    def refuse(tid: int, nice: int) -> None:
        raise PermissionError(1, f"nice {nice} needs CAP_SYS_NICE")

    monkeypatch.setattr(workqueue.linux, "set_nice", refuse)
    with warnings.catch_warnings(record=True) as issued:
        warnings.simplefilter(action)  # type: ignore[arg-type]
        try:
            wq = alloc_workqueue("modest", WQ_HIGHPRI, 1)
        except KernelWarning as warning:
            assert "WQ_HIGHPRI has no effect here: nice -20 needs CAP_SYS_NICE" in str(warning)  # noqa: PT017
            assert action == "error"
        else:
            assert action == "always"
            assert "WQ_HIGHPRI has no effect here: nice -20 needs CAP_SYS_NICE" in str(issued[0].message)
            ran = threading.Event()
            queue_work(wq, new_work(lambda work: ran.set()))
            destroy_workqueue(wq)
            assert ran.is_set()
    assert threads_of("modest") == []


# ------------------------------------------------------------------------------------------------ the end of a program


def run_python(program: str) -> tuple[str, str]:
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert child.returncode == 0, child.stderr
    return child.stdout, child.stderr


def test_the_program_ends_after_every_queued_work_and_then_refuses_more() -> None:
    program = """
import atexit, threading
from kwlab.workqueue import *
def late():
    work = new(lambda work: print("late"))
    try:
        queue_work(wq, work)
    except RuntimeError as error:
        print(str(error).partition(" <")[0], work_pending(work), wq.nr_active)
atexit.register(late)
def new(func):
    work = WorkStruct()
    INIT_WORK(work, func)
    return work
wq = alloc_workqueue("ending", 0, 1)
queue_work(wq, new(lambda work: threading.main_thread().join(0.2)))
for number in range(3):
    queue_work(wq, new(lambda work, number=number: print(number)))
"""
    out, err = run_python(program)
    assert out.splitlines() == ["0", "1", "2", "workqueue ending cannot run False 0"]
    assert err == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_is_told_and_can_make_its_own_queue() -> None:
    program = """
import os
from kwlab import workqueue
from kwlab.errors import ForkedWorkerError
from kwlab.workqueue import *
work = WorkStruct()
INIT_WORK(work, lambda work: print(os.getpid() == parent, flush=True))
parent = os.getpid()
wq = alloc_workqueue("forked", 0, 1)
queue_work(wq, work)
flush_work(work)
with workqueue._lock:  # as if another thread held it
    child = os.fork()
if not child:
    for call in (lambda: queue_work(wq, work), lambda: flush_work(work), lambda: destroy_workqueue(wq)):
        try:
            call()
        except ForkedWorkerError as error:
            print(error, flush=True)
    own = alloc_workqueue("own", 0, 1)
    INIT_WORK(work, work.func)
    queue_work(own, work)
    destroy_workqueue(own)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
queue_work(wq, work)
destroy_workqueue(wq)
"""
    out, _ = run_python(program)
    told = "workqueue 'forked' was made before os.fork(): its threads are not in the child"
    assert out.splitlines() == ["True", told, told, told, "False", "True"]
