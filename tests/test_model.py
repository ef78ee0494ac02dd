"""The model runtime: the ordinary source under a controlled scheduler, and nothing but the scheduler decides."""

import random
import signal
import threading
import time
from _thread import allocate_lock
from collections.abc import Callable, Iterator
from time import monotonic

import pytest

from kwlab import (
    DEFINE_KTHREAD_DELAYED_WORK,
    DEFINE_KTHREAD_WORK,
    READ_ONCE,
    TASK_INTERRUPTIBLE,
    TASK_RUNNING,
    TASK_UNINTERRUPTIBLE,
    WRITE_ONCE,
    KthreadWork,
    SpinLock,
    Struct,
    Task,
    Worker,
    current,
    freeze_processes,
    init_completion,
    jiffies,
    kfree,
    kthread_cancel_delayed_work_sync,
    kthread_create,
    kthread_destroy_worker,
    kthread_flush_worker,
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
    list_add_tail,
    msleep,
    raw_spin_lock_init,
    schedule,
    schedule_timeout,
    set_current_state,
    thaw_processes,
    wake_up_process,
)
from kwlab.explore import Options, Verdict, check, join, replay
from kwlab.explore.bounding import IterativeBounding
from kwlab.explore.depth_first import DepthFirst
from kwlab.explore.engine import Execution, search
from kwlab.explore.merging import Merging
from kwlab.explore.strategy import Strategy
from kwlab.runtime.model import ForeignThreadError
from kwlab.runtime.model_guard import UncontrolledError
from kwlab.runtime.model_objects import ModelTask
from kwlab.runtime.model_ops import EXIT
from kwlab.worker import KTW_FREEZABLE


def sleeper(_: object) -> None:
    """A kthread that does nothing but wait to be stopped."""
    while True:
        set_current_state(TASK_INTERRUPTIBLE)
        if kthread_should_stop():
            break
        schedule()
    set_current_state(0)


def outcomes(body: Callable[[list[object]], None]) -> set[tuple[object, ...]]:
    """All that `body` can write into its list, over all interleavings."""
    seen: set[tuple[object, ...]] = set()

    def scenario() -> list[object]:
        log: list[object] = []
        body(log)
        return log

    def note(execution: Execution, so_far: object) -> None:
        assert execution.bug is None, execution.bug
        if execution.ending.kind == "done":
            seen.add(tuple(execution.runtime.result))  # type: ignore[call-overload]

    found = search(scenario, DepthFirst(2), Options(), after=note)
    assert found.complete
    return seen


@pytest.mark.timeout(300)
def test_the_shipped_worker_runs_unchanged() -> None:
    def scenario() -> None:
        runs: list[int] = []
        worker = kthread_run_worker(0, "demo")
        kthread_queue_work(worker, DEFINE_KTHREAD_WORK(lambda work: runs.append(1)))
        kthread_destroy_worker(worker)
        assert runs == [1]

    verdict = check(scenario)
    assert verdict.ok
    assert verdict.executions > 10


def test_the_pythonic_face_runs_unchanged() -> None:
    def body(log: list[object]) -> None:
        with Worker("demo") as worker:
            worker.queue(log.append, "a")
            worker.queue(log.append, "b")

    assert outcomes(body) == {("a", "b")}


def test_every_order_of_two_clients_is_seen() -> None:
    def body(log: list[object]) -> None:
        lock = raw_spin_lock_init("lock")

        def client(name: object) -> None:
            with lock:
                log.append(name)

        join(*[kthread_run(client, name, "client-%s", name) for name in "abc"])

    assert len(outcomes(body)) == 6


def test_a_new_task_sleeps_in_state_d_until_it_is_woken() -> None:
    def body(log: list[object]) -> None:
        task = kthread_create(lambda _: log.append("ran"), None, "late")
        log.append(task.state == TASK_UNINTERRUPTIBLE)
        wake_up_process(task)
        join(task)

    assert outcomes(body) == {(True, "ran")}


def test_a_thread_stopped_before_it_was_woken_never_runs() -> None:
    def body(log: list[object]) -> None:
        log.append(kthread_stop(kthread_create(lambda _: log.append("ran"), None, "never")))

    assert outcomes(body) == {(-4,)}


def test_parking() -> None:
    def parker(log: list[object]) -> None:
        while True:
            if kthread_should_park():
                log.append("parked")
                kthread_parkme()
            set_current_state(TASK_INTERRUPTIBLE)
            if kthread_should_stop():
                break
            if not kthread_should_park():
                schedule()
        set_current_state(0)

    def body(log: list[object]) -> None:
        task = kthread_run(parker, log, "parker")
        kthread_park(task)
        log.append("main")
        kthread_unpark(task)
        kthread_stop(task)

    # Asked before its function ran, it parks in the kthread code already.
    assert outcomes(body) == {("parked", "main"), ("main",)}


# ----------------------------------------------------------------------------------------------------- virtual time


def test_a_timer_fires_before_and_behind_what_others_do() -> None:
    def body(log: list[object]) -> None:
        worker = kthread_run_worker(0, "demo")
        dwork = DEFINE_KTHREAD_DELAYED_WORK(lambda work: log.append("delayed"))
        kthread_queue_delayed_work(worker, dwork, 5)
        kthread_queue_work(worker, DEFINE_KTHREAD_WORK(lambda work: log.append("plain")))
        kthread_flush_worker(worker)
        kthread_cancel_delayed_work_sync(dwork)
        kthread_destroy_worker(worker)

    assert outcomes(body) == {("plain",), ("plain", "delayed"), ("delayed", "plain")}


def test_time_passes_only_to_the_next_expiry() -> None:
    def body(log: list[object]) -> None:
        msleep(7)
        log.append(jiffies())
        msleep(2**20)
        log.append(jiffies())

    assert outcomes(body) == {(7, 7 + 2**20)}


def test_a_timer_may_be_late() -> None:
    def body(log: list[object]) -> None:
        worker = kthread_run_worker(0, "demo")
        dwork = DEFINE_KTHREAD_DELAYED_WORK(lambda work: log.append("ran"))
        kthread_queue_delayed_work(worker, dwork, 5)
        now = jiffies()
        log.append((now, kthread_cancel_delayed_work_sync(dwork)))
        kthread_destroy_worker(worker)

    seen = outcomes(body)
    assert ((0, True),) in seen
    assert ((5, True),) in seen, "time has come and the interrupt has not: the cancel still wins"
    assert ("ran", (5, False)) in seen


def test_schedule_timeout_returns_what_is_left() -> None:
    def body(log: list[object]) -> None:
        def waiter(_: object) -> None:
            set_current_state(TASK_INTERRUPTIBLE)
            log.append(schedule_timeout(10))
            woken.wait()  # or the wake-up below could come to a task that is gone

        woken = init_completion("woken")
        task = kthread_run(waiter, None, "waiter")
        wake_up_process(task)
        woken.complete()
        join(task)

    assert outcomes(body) == {(0,), (10,)}


def test_mod_delayed_work_runs_once() -> None:
    def scenario() -> None:
        runs: list[int] = []
        worker = kthread_run_worker(0, "demo")
        dwork = DEFINE_KTHREAD_DELAYED_WORK(lambda work: runs.append(1))
        kthread_queue_delayed_work(worker, dwork, 5)
        pending = kthread_mod_delayed_work(worker, dwork, 0)
        kthread_flush_worker(worker)
        # Not pending any more: the timer's run was done or under way, and this is one more; or the timer fired while
        # mod held everybody off, and that run was dropped.
        assert len(runs) == 1 or (len(runs) == 2 and not pending)
        kthread_destroy_worker(worker)

    verdict = check(scenario, executions=3000)
    assert verdict.ok, verdict


def test_destroy_with_an_armed_timer_is_found() -> None:
    def scenario() -> None:
        worker = kthread_run_worker(0, "demo")
        kthread_queue_delayed_work(worker, DEFINE_KTHREAD_DELAYED_WORK(lambda work: None), 5)
        kthread_destroy_worker(worker)

    verdict = check(scenario)
    assert verdict.bug is not None
    assert verdict.bug.kind == "kernel warning"
    assert "timer is still armed" in verdict.bug.sentence


def test_freezing() -> None:
    def scenario() -> None:
        worker = kthread_run_worker(KTW_FREEZABLE, "demo")
        runs: list[int] = []
        kthread_flush_worker(worker)
        freeze_processes(limit=3)
        kthread_queue_work(worker, DEFINE_KTHREAD_WORK(lambda work: runs.append(1)))
        assert not runs
        thaw_processes()
        kthread_destroy_worker(worker)
        assert runs == [1]

    def tolerant() -> None:
        # The worker may be slower than any limit: then the freeze fails, as it should.
        try:
            scenario()
        except OSError:
            kthread_destroy_worker(next(task for task in current().runtime.tasks()).kthread.data)

    verdict = check(tolerant, executions=2000)
    assert verdict.ok, verdict


# ------------------------------------------------------------------------------------------------- what is a bug


def found(scenario: Callable[[], object], kind: str) -> str:
    verdict: Verdict = check(scenario)
    assert verdict.bug is not None, verdict
    assert verdict.bug.kind == kind, verdict
    again = replay(scenario, verdict.schedule)
    assert str(again.bug) == str(verdict.bug)
    return verdict.bug.sentence


def test_deadlock_says_who_waits_for_what() -> None:
    def scenario() -> None:
        a, b = raw_spin_lock_init("a"), raw_spin_lock_init("b")
        done = init_completion("done")

        def client(_: object) -> None:
            with b, a:
                pass
            done.complete()

        kthread_run(client, None, "client")
        with a, b:
            pass
        done.wait()

    sentence = found(scenario, "deadlock")
    assert "main waits for b, held by client" in sentence
    assert "client waits for a, held by main" in sentence


def test_an_assertion_names_its_line() -> None:
    def scenario() -> None:
        assert not "a word", "words are true"

    assert "words are true (in scenario(), test_model.py:" in found(scenario, "assertion")


def test_an_exception_in_a_work_is_a_bug() -> None:
    def scenario() -> None:
        worker = kthread_run_worker(0, "demo")
        kthread_queue_work(worker, DEFINE_KTHREAD_WORK(lambda work: 1 / 0))
        kthread_destroy_worker(worker)

    assert "ZeroDivisionError" in found(scenario, "exception")


def test_use_after_free() -> None:
    def scenario() -> None:
        work = DEFINE_KTHREAD_WORK(lambda work: None)
        kfree(work)
        work.canceling += 1

    assert "KthreadWork.canceling" in found(scenario, "use after free")


def test_waking_a_task_that_is_gone() -> None:
    def scenario() -> None:
        task = kthread_run(lambda _: None, None, "short")
        join(task)
        wake_up_process(task)

    assert "wake-up of task 'short', which has exited" in found(scenario, "use after free")


def test_list_corruption() -> None:
    def scenario() -> None:
        worker = kthread_run_worker(0, "demo")
        work = DEFINE_KTHREAD_WORK(lambda work: None)
        with worker.lock:
            list_add_tail(work.node, worker.delayed_work_list)
            list_add_tail(work.node, worker.delayed_work_list)

    assert "double add" in found(scenario, "list corruption")


def test_sleeping_with_a_spinlock_held() -> None:
    def scenario() -> None:
        with raw_spin_lock_init("the lock"):
            schedule()

    assert "main calls schedule() while holding the lock" in found(scenario, "sleeping while atomic")


def test_waiting_in_a_timer_callback() -> None:
    class Late(Struct):
        pass

    def scenario() -> None:
        from kwlab.timer import TimerList, add_timer, timer_setup

        timer = TimerList()
        timer_setup(timer, lambda timer: msleep(1))
        timer.expires = 3
        add_timer(timer)

    assert "in a timer callback" in found(scenario, "sleeping while atomic")


def test_recursive_lock() -> None:
    def scenario() -> None:
        lock = raw_spin_lock_init("lock")
        with lock, lock:
            pass

    assert "which it holds already" in found(scenario, "recursive lock")


def test_blocking_in_the_wrong_state_warns() -> None:
    def scenario() -> None:
        done = init_completion("done")
        done.complete()
        set_current_state(TASK_INTERRUPTIBLE)
        done.wait()

    assert "when not TASK_RUNNING" in found(scenario, "kernel warning")


def test_a_thread_nobody_stopped() -> None:
    assert "nobody stopped idle" in found(lambda: kthread_run(sleeper, None, "idle"), "thread left behind")


def test_works_left_behind() -> None:
    def scenario() -> None:
        worker = kthread_run_worker(0, "demo")
        task = worker.task
        assert task is not None
        kthread_queue_work(worker, DEFINE_KTHREAD_WORK(lambda work: None))
        kthread_stop(task)

    assert "1 work still queued" in found(scenario, "work left behind")
    assert check(scenario, allow=["work left behind"]).ok


def test_an_endless_loop_meets_the_step_limit() -> None:
    def scenario() -> None:
        lock = raw_spin_lock_init("lock")
        while True:
            with lock:
                pass

    verdict = check(scenario, options=Options(limit=500))
    assert verdict.bug is not None
    assert verdict.bug.kind == "endless"


def test_a_task_that_catches_everything_does_not_stop_the_search() -> None:
    def stubborn(lock: object) -> None:
        while True:
            try:
                with lock:  # type: ignore[attr-defined]
                    pass
            except BaseException:
                continue

    def scenario() -> None:
        kthread_run(stubborn, raw_spin_lock_init("lock"), "stubborn")
        raise AssertionError("here")

    verdict = check(scenario)
    assert verdict.bug is not None
    assert check(lambda: None).ok


def test_warnings_can_be_let_through() -> None:
    def scenario() -> None:
        done = init_completion("done")
        done.complete()
        set_current_state(TASK_INTERRUPTIBLE)
        done.wait()

    assert check(scenario, options=Options(warnings_end=False)).ok


# ------------------------------------------------------------------------------------------------ only what is modelled


@pytest.mark.parametrize("backend", ["greenlet", "thread"])
@pytest.mark.parametrize("call", [SpinLock.acquire, SpinLock.release], ids=["acquire", "release"])
def test_a_foreign_thread_is_refused_and_told_why(call: Callable[[SpinLock], object], backend: str) -> None:
    heard: list[BaseException] = []

    def scenario() -> None:
        free, held = raw_spin_lock_init("free"), raw_spin_lock_init("held")

        def foreign() -> None:
            try:
                getattr(held if call is SpinLock.release else free, call.__name__)()
            except BaseException as error:
                heard.append(error)

        thread = threading.Thread(target=foreign)
        with held:
            thread.start()
            thread.join(10)

    check(scenario, options=Options(backend=backend))
    assert isinstance(heard[0], ForeignThreadError)
    assert "kthread_run()" in str(heard[0])


def test_objects_of_a_finished_exploration_are_refused() -> None:
    kept: list[object] = []
    check(lambda: kept.append(raw_spin_lock_init("lock")))
    with pytest.raises(ForeignThreadError, match="exploration that is over"), kept[0]:  # type: ignore[attr-defined]
        pass


OUTSIDE, FULL = threading.Event(), threading.Semaphore(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: time.sleep(0), "test_model.py:[0-9]+ in .*would block for real; use msleep"),
        (lambda: time.monotonic(), "test_model.py:[0-9]+ in .*wall clock"),
        (lambda: monotonic(), "test_model.py:[0-9]+ in .*wall clock"),
        (lambda: random.random(), "test_model.py:[0-9]+ in .*seed"),
        (lambda: threading.Lock(), "test_model.py:[0-9]+ in .*would block for real; use raw_spin_lock_init"),
        (lambda: OUTSIDE.wait(0), "test_model.py:[0-9]+ in .*threading.Event.wait"),
        (lambda: threading.Semaphore.acquire(FULL), "test_model.py:[0-9]+ in .*threading.Semaphore.acquire"),
    ],
)
def test_wall_clock_real_waits_and_chance_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(UncontrolledError, match=message):
        check(call)
    call()  # behind the exploration all is as it was


def test_seeded_chance_is_welcome() -> None:
    def body(log: list[object]) -> None:
        log.append(random.Random(7).random())

    assert len(outcomes(body)) == 1


def test_a_scenario_that_remembers_is_found_out() -> None:
    memory: list[int] = []

    def scenario() -> None:
        memory.append(1)
        lock = raw_spin_lock_init("lock")

        def client(_: object) -> None:
            with lock:
                pass

        tasks: list[Task] = [kthread_run(client, None, "a")]
        if len(memory) % 2:
            tasks.append(kthread_run(client, None, "b"))
        join(*tasks)

    from kwlab.explore.strategy import NonDeterministicError

    with pytest.raises(NonDeterministicError, match="keep something from one run to the next"):
        check(scenario)


def test_live_workers_go_on_undisturbed() -> None:
    live = kthread_run_worker(0, "live")
    done: list[float] = []
    more = threading.Event()

    def body(work: KthreadWork) -> None:
        done.append(time.monotonic())
        if not more.is_set():
            kthread_queue_work(live, work)

    work = DEFINE_KTHREAD_WORK(body)
    kthread_queue_work(live, work)

    def scenario() -> None:
        worker = kthread_run_worker(0, "model")
        kthread_queue_work(worker, DEFINE_KTHREAD_WORK(lambda work: None))
        kthread_destroy_worker(worker)

    before = current()
    ran = len(done)
    verdict = check(scenario, executions=2000)
    assert verdict.ok
    assert current() is before
    more.set()
    kthread_destroy_worker(live)
    assert len(done) > ran, "the live worker ran works while the model was explored"


def test_the_thread_baton_gives_the_same_verdict_and_schedule() -> None:
    def scenario() -> None:
        worker = kthread_run_worker(0, "demo")
        task = worker.task
        assert task is not None
        kthread_queue_work(worker, DEFINE_KTHREAD_WORK(lambda work: None))
        kthread_stop(task)

    greenlet = check(scenario)
    thread = check(scenario, options=Options(backend="thread"))
    assert str(greenlet.bug) == str(thread.bug)
    assert greenlet.schedule == thread.schedule
    assert greenlet.executions == thread.executions


def test_a_runtime_knows_only_two_backends() -> None:
    with pytest.raises(ValueError, match="'greenlet' or 'thread'"):
        check(lambda: None, options=Options(backend="fibre"))


class Flagged(Struct):
    """Two tasks and a flag between them."""

    ready: bool


def wait_for_flag(look_first: bool) -> None:
    flagged = Flagged()

    def waker(sleeper: Task) -> int:
        WRITE_ONCE(flagged, "ready", True)
        wake_up_process(sleeper)
        return 0

    task = kthread_run(waker, current(), "waker")
    while True:
        if not look_first:
            set_current_state(TASK_INTERRUPTIBLE)
        if READ_ONCE(flagged, "ready"):
            break
        if look_first:
            set_current_state(TASK_INTERRUPTIBLE)
        schedule()
    set_current_state(TASK_RUNNING)
    join(task)


def test_others_may_come_before_a_marked_access() -> None:
    verdict = check(lambda: wait_for_flag(look_first=True))
    assert verdict.bug is not None
    assert verdict.bug.kind == "deadlock"
    assert check(lambda: wait_for_flag(look_first=False)).guarantee == "all interleavings"


def test_marked_accesses_on_real_threads() -> None:
    flagged = Flagged()
    assert READ_ONCE(flagged, "ready") is False
    WRITE_ONCE(flagged, "ready", True)
    assert READ_ONCE(flagged, "ready") is True


class TimeIsOver(BaseException):
    """What the handler of a signal raises, anywhere."""


@pytest.mark.parametrize("strategy", [DepthFirst, Merging, IterativeBounding], ids=lambda strategy: strategy.__name__)
@pytest.mark.parametrize("cleaned", [0, 3])
@pytest.mark.parametrize("when", range(1, 12))
def test_what_ends_a_search_from_outside_comes_out_as_itself(
    strategy: Callable[[], Strategy], when: int, cleaned: int
) -> None:
    """It passes the end of a kthread, which would go on to say that it has exited, and what the scenario does on its
    way out: steps of no execution."""
    rounds = 0

    def reader(lock: SpinLock) -> int:
        nonlocal rounds
        try:
            for _ in range(3):
                with lock:
                    pass
                rounds += 1
                if rounds == 7 * when:
                    raise TimeIsOver
        finally:
            for _ in range(cleaned):
                with lock:
                    pass
        return 0

    def scenario() -> None:
        lock = raw_spin_lock_init("lock")
        join(*[kthread_run(reader, lock, "reader/%u", number) for number in range(2)])

    with pytest.raises(TimeIsOver):
        search(scenario, strategy(), Options())
    rounds = -(10**6)
    assert replay(scenario, ()).bug is None, "the pool of tasks is as it was"


@pytest.mark.parametrize("backend", ["greenlet", "thread"])
def test_what_comes_up_on_its_way_out_is_no_bug(backend: str) -> None:
    def of_main() -> None:
        try:
            raise TimeIsOver
        finally:
            raise AssertionError("it was not done")

    def of_a_kthread() -> None:
        join(kthread_run(lambda data: of_main(), None, "client"))

    def of_the_kernel() -> None:
        with raw_spin_lock_init("lock"):
            try:
                raise TimeIsOver
            finally:
                msleep(1)

    for scenario in (of_main, of_a_kthread, of_the_kernel):
        with pytest.raises(TimeIsOver):
            replay(scenario, (), Options(backend=backend))


@pytest.mark.parametrize("backend", ["greenlet", "thread"])
def test_the_end_of_a_generator_is_none_of_the_execution(backend: str) -> None:
    def scenario() -> None:
        lock = raw_spin_lock_init("lock")

        def items() -> Iterator[int]:
            try:
                yield 1
            finally:
                with lock:
                    pass

        def client(data: object) -> None:
            one = items()
            next(one)
            one.close()

        join(*[kthread_run(client, None, "client-%d", number) for number in range(2)])

    assert check(scenario, options=Options(backend=backend)).guarantee == "all interleavings"


@pytest.mark.parametrize("when", [1, 2, 3])
def test_what_a_handler_raises_outside_of_all_tasks_spoils_no_carrier(when: int) -> None:
    lives = 0

    def observer(task: ModelTask, op: int, target: object, result: object) -> None:
        nonlocal lives
        lives += op == EXIT
        if op == EXIT and lives == when:
            raise TimeIsOver

    def scenario() -> None:
        join(*[kthread_run(lambda data: None, None, "client-%d", number) for number in range(2)])

    with pytest.raises(TimeIsOver):
        replay(scenario, (), Options(observer=observer))
    assert replay(scenario, ()).bug is None


@pytest.mark.threads
@pytest.mark.parametrize("when", range(1, 7))
def test_a_handler_that_raises_while_a_thread_carries_on(when: int) -> None:
    """It runs in the main thread, which waits there for the end of the execution."""
    rounds = 0
    heard = allocate_lock()  # a real one, which a scenario could not ask for

    def handler(signum: int, frame: object) -> None:
        heard.release()
        raise TimeIsOver

    def scenario() -> None:
        lock = raw_spin_lock_init("lock")

        def client(data: object) -> None:
            nonlocal rounds
            for _ in range(3):
                with lock:
                    rounds += 1
                    if rounds == when:
                        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
                        assert heard.acquire(timeout=10)

        join(*[kthread_run(client, None, "client-%d", number) for number in range(2)])

    before = signal.signal(signal.SIGUSR1, handler)
    heard.acquire()
    try:
        with pytest.raises(TimeIsOver):
            replay(scenario, (), Options(backend="thread"))
        assert replay(scenario, (), Options(backend="thread")).bug is None
    finally:
        signal.signal(signal.SIGUSR1, before)
