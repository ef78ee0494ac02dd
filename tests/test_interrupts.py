"""Ctrl-C between any two bytecodes of any API function: nothing is left half done.

A trace function counts the bytecodes that run inside kwlab's own modules and raises SIGINT at the k-th one, for every
k until a call completes without reaching it.
"""

import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

import pytest

import kwlab
from kwlab import (
    DEFINE_KTHREAD_DELAYED_WORK,
    DEFINE_KTHREAD_WORK,
    KthreadDelayedWork,
    KthreadWork,
    KthreadWorker,
    TimerList,
    Worker,
    complete,
    current,
    init_completion,
    jiffies,
    kthread_cancel_delayed_work_sync,
    kthread_cancel_work_sync,
    kthread_create,
    kthread_create_worker,
    kthread_create_worker_on_cpu,
    kthread_destroy_worker,
    kthread_flush_work,
    kthread_flush_worker,
    kthread_init_delayed_work,
    kthread_init_work,
    kthread_init_worker,
    kthread_mod_delayed_work,
    kthread_park,
    kthread_parkme,
    kthread_queue_delayed_work,
    kthread_queue_work,
    kthread_run,
    kthread_run_worker,
    kthread_should_park,
    kthread_should_stop,
    kthread_stop,
    kthread_unpark,
    list_empty,
    mod_timer,
    schedule_timeout_interruptible,
    timer_delete_sync,
    timer_setup,
    wait_for_completion,
)
from kwlab.runtime.threads import ThreadTask

pytestmark = [pytest.mark.threads, pytest.mark.slow, pytest.mark.timeout(300)]

DELIVERY_LIMIT = 5.0  # seconds within which a deferred Ctrl-C must arrive


class Interrupter:
    """Raises SIGINT at the `k`-th bytecode inside kwlab."""

    def __init__(self, k: int) -> None:
        self.left = k
        self.fired = False

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        if not frame.f_globals.get("__name__", "").startswith("kwlab."):
            return self
        frame.f_trace_opcodes = True
        if event == "opcode" and not self.fired:
            self.left -= 1
            if self.left <= 0:
                self.fired = True
                signal.raise_signal(signal.SIGINT)
        return self


def interrupt_at(k: int, call: Callable[[], Any]) -> tuple[bool, Any]:
    """Run `call` with Ctrl-C at bytecode k; (was there a k-th bytecode, what the call returned if it did)."""
    interrupter = Interrupter(k)
    result: Any = None
    try:
        sys.settrace(interrupter)
        try:
            result = call()
        finally:
            sys.settrace(None)
        if interrupter.fired:
            deadline = time.monotonic() + DELIVERY_LIMIT
            while time.monotonic() < deadline:
                time.sleep(0.001)  # lets the thread that delivers it again have the GIL
            pytest.fail(f"Ctrl-C at bytecode {k} never arrived")
    except KeyboardInterrupt:
        assert interrupter.fired
        return True, result
    return False, result


@dataclass
class Bench:
    """A live worker and works, and what must be true of them after any interrupt."""

    worker: KthreadWorker
    work: KthreadWork
    dwork: KthreadDelayedWork
    runs: list[str]

    @classmethod
    def make(cls) -> "Bench":
        runs: list[str] = []
        return cls(
            kthread_run_worker(0, "bench"),
            DEFINE_KTHREAD_WORK(lambda work: runs.append("work")),
            DEFINE_KTHREAD_DELAYED_WORK(lambda work: runs.append("delayed")),
            runs,
        )

    def check(self) -> None:
        # The worker itself may hold it at this moment.
        assert self.worker.lock.holder is not current(), "a lock was left held"
        assert self.work.canceling == 0, "canceling was not restored"
        assert self.dwork.work.canceling == 0, "canceling was not restored"
        kthread_cancel_work_sync(self.work)
        kthread_cancel_delayed_work_sync(self.dwork)
        before = len(self.runs)
        assert kthread_queue_work(self.worker, self.work), "the work is neither pending nor queueable"
        kthread_flush_work(self.work)
        assert len(self.runs) == before + 1, "a wake-up was lost"
        assert list_empty(self.worker.work_list)
        assert list_empty(self.worker.delayed_work_list)


def on_live_worker(call: Callable[[Bench], Any], before: Callable[[Bench], Any] | None = None) -> int:
    bench = Bench.make()
    k = 0
    try:
        while True:
            k += 1
            if before is not None:
                before(bench)
            fired, _ = interrupt_at(k, lambda: call(bench))
            bench.check()
            if not fired:
                return k
    finally:
        kthread_destroy_worker(bench.worker)


def queue_pending(bench: Bench) -> None:
    kthread_queue_work(bench.worker, bench.work)


def arm(bench: Bench) -> None:
    kthread_queue_delayed_work(bench.worker, bench.dwork, 100_000)


LIVE: dict[str, tuple[Callable[[Bench], Any], Callable[[Bench], Any] | None]] = {
    "queue": (lambda b: kthread_queue_work(b.worker, b.work), None),
    "flush_work": (lambda b: kthread_flush_work(b.work), queue_pending),
    "flush_worker": (lambda b: kthread_flush_worker(b.worker), queue_pending),
    "cancel": (lambda b: kthread_cancel_work_sync(b.work), queue_pending),
    "queue_delayed": (lambda b: kthread_queue_delayed_work(b.worker, b.dwork, 100_000), None),
    "queue_delayed_0": (lambda b: kthread_queue_delayed_work(b.worker, b.dwork, 0), None),
    "mod_armed": (lambda b: kthread_mod_delayed_work(b.worker, b.dwork, 200_000), arm),
    "mod_idle": (lambda b: kthread_mod_delayed_work(b.worker, b.dwork, 200_000), None),
    "cancel_delayed": (lambda b: kthread_cancel_delayed_work_sync(b.dwork), arm),
    "init_work": (lambda b: kthread_init_work(KthreadWork(), print), None),
    "init_delayed_work": (lambda b: kthread_init_delayed_work(KthreadDelayedWork(), print), None),
    "init_worker": (lambda b: kthread_init_worker(KthreadWorker()), None),
}


def test_cancelling_a_running_work() -> None:
    """The cancel sleeps until the work has run; the work ends once the canceller has come to a sleep."""
    bench = Bench.make()
    me = current()
    assert isinstance(me, ThreadTask)
    k = 0
    try:
        while True:
            k += 1
            started, go_on = init_completion("started"), init_completion("go on")
            running = DEFINE_KTHREAD_WORK(lambda work: (complete(started), wait_for_completion(go_on)))
            kthread_queue_work(bench.worker, running)
            wait_for_completion(started)

            def let_go(go_on: Any = go_on) -> None:
                deadline = time.monotonic() + DELIVERY_LIMIT
                while not me.asleep and time.monotonic() < deadline:
                    time.sleep(0.0002)
                complete(go_on)

            helper = threading.Thread(target=let_go)
            helper.start()
            fired, _ = interrupt_at(k, lambda: kthread_cancel_work_sync(running))
            kthread_flush_worker(bench.worker)
            helper.join(DELIVERY_LIMIT)
            assert running.canceling == 0, f"bytecode {k}: canceling was not restored"
            bench.check()
            if not fired:
                break
    finally:
        kthread_destroy_worker(bench.worker)
    assert k > 100


@pytest.mark.parametrize("name", LIVE)
def test_on_a_live_worker(name: str) -> None:
    call, before = LIVE[name]
    assert on_live_worker(call, before) > 20


def threads() -> set[threading.Thread]:
    """The threads that kwlab's tasks run on."""
    return {t for t in threading.enumerate() if t.name.startswith("made")}


def ended(limit: float = DELIVERY_LIMIT) -> bool:
    """Whether all threads called made... have ended within the limit."""
    for thread in threads():
        thread.join(limit)
    return not threads()


MAKE: dict[str, Callable[[], Any]] = {
    "create_worker": lambda: kthread_create_worker(0, "made"),
    "run_worker": lambda: kthread_run_worker(0, "made"),
    "create_worker_on_cpu": lambda: kthread_create_worker_on_cpu(0, 0, "made/%u"),
}


@pytest.mark.parametrize("name", MAKE)
def test_making_a_worker_leaves_no_thread_behind(name: str) -> None:
    k = 0
    while True:
        k += 1
        made: list[KthreadWorker] = []
        fired, _ = interrupt_at(k, lambda: made.append(MAKE[name]()))
        # The interrupt arrives after the call: the caller has its worker, and nobody else has another.
        for worker in made:
            kthread_destroy_worker(worker)
        assert ended(), f"bytecode {k}: {threads()} left behind"
        if not fired:
            break
    assert k > 20


def test_destroying_a_worker() -> None:
    k = 0
    while True:
        k += 1
        worker = kthread_run_worker(0, "made")
        fired, _ = interrupt_at(k, lambda: kthread_destroy_worker(worker))
        if not kwlab.freed(worker):
            kthread_destroy_worker(worker)
        assert ended(), f"bytecode {k}: {threads()} left behind"
        if not fired:
            break
    assert k > 20


def test_the_with_block() -> None:
    k = 0
    while True:
        k += 1
        runs: list[int] = []

        def use() -> None:
            with Worker("made") as worker:
                worker.queue(runs.append, 1)
                worker.flush()

        fired, _ = interrupt_at(k, use)
        assert ended(), f"bytecode {k}: {threads()} left behind"
        if not fired:
            break
    assert runs == [1]


def park_loop(data: Any) -> int:
    while not kthread_should_stop():
        if kthread_should_park():
            kthread_parkme()
        kwlab.set_current_state(kwlab.TASK_INTERRUPTIBLE)
        if not kthread_should_stop() and not kthread_should_park():
            kwlab.schedule()
        kwlab.__dict__["__set_current_state"](kwlab.TASK_RUNNING)
    return 7


def test_kthread_calls() -> None:
    for make in (lambda: kthread_create(park_loop, None, "made"), lambda: kthread_run(park_loop, None, "made")):
        k = 0
        while True:
            k += 1
            made: list[Any] = []
            fired, _ = interrupt_at(k, lambda: made.append(make()))
            for task in made:
                kthread_stop(task)
            assert ended(), f"bytecode {k}: {threads()} left behind"
            if not fired:
                break


@pytest.mark.parametrize("call", [kthread_park, kthread_unpark])
def test_park_and_unpark(call: Callable[[Any], None]) -> None:
    task = kthread_run(park_loop, None, "made")
    k = 0
    while True:
        k += 1
        if call is kthread_unpark:
            kthread_park(task)
        fired, _ = interrupt_at(k, lambda: call(task))
        kthread_unpark(task)
        if not fired:
            break
    assert kthread_stop(task) == 7
    assert ended()


def test_timers_and_sleeps() -> None:
    fired_timers: list[TimerList] = []
    me = current()
    k = 0
    while True:
        k += 1
        timer = TimerList()

        def use() -> None:
            timer_setup(timer, fired_timers.append)
            mod_timer(timer, jiffies() + 100_000)
            timer_delete_sync(timer)
            schedule_timeout_interruptible(0)

        fired, _ = interrupt_at(k, use)
        timer_delete_sync(timer)
        base = kwlab.current().runtime.timer_base
        # The timer thread may hold them at this moment.
        assert base.lock.holder is not me
        assert base.expiry_lock.holder is not me
        assert timer not in base.pending
        assert me.state == kwlab.TASK_RUNNING
        if not fired:
            break
    assert not fired_timers


def test_the_handler_comes_back_when_the_main_thread_sleeps() -> None:
    """Others put Python's own back, asyncio for one; with it a Ctrl-C could end a section in the middle."""
    worker = kthread_run_worker(0, "made")
    ours = signal.getsignal(signal.SIGINT)
    assert ours is not signal.default_int_handler
    signal.signal(signal.SIGINT, signal.default_int_handler)
    me = current()
    assert isinstance(me, ThreadTask)

    def run_until_the_flush_sleeps(work: KthreadWork) -> None:
        deadline = time.monotonic() + DELIVERY_LIMIT
        while not me.asleep and time.monotonic() < deadline:
            time.sleep(0.0002)

    work = DEFINE_KTHREAD_WORK(run_until_the_flush_sleeps)
    kthread_queue_work(worker, work)
    kthread_flush_work(work)
    assert signal.getsignal(signal.SIGINT) is ours
    kthread_destroy_worker(worker)
