"""The worker on real threads: what the API promises, and what it says to bad input."""

import errno
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

import kwlab
from kwlab import (
    DEFINE_KTHREAD_DELAYED_WORK,
    DEFINE_KTHREAD_WORK,
    KTW_FREEZABLE,
    DeadlockError,
    ForkedWorkerError,
    KernelWarning,
    KthreadDelayedWork,
    KthreadWork,
    KthreadWorker,
    LockingError,
    UseAfterFree,
    Worker,
    complete,
    container_of,
    current,
    freeze_processes,
    init_completion,
    kfree,
    kthread_cancel_delayed_work_sync,
    kthread_cancel_work_sync,
    kthread_create_worker,
    kthread_create_worker_on_cpu,
    kthread_destroy_worker,
    kthread_flush_work,
    kthread_flush_worker,
    kthread_init_delayed_work,
    kthread_init_work,
    kthread_init_worker,
    kthread_mod_delayed_work,
    kthread_queue_delayed_work,
    kthread_queue_work,
    kthread_run,
    kthread_run_worker,
    kthread_run_worker_on_cpu,
    kthread_stop,
    kthread_worker_fn,
    sched_set_fifo,
    set_user_nice,
    thaw_processes,
    wait_for_completion,
)
from kwlab.runtime.threads import ThreadRuntime
from kwlab.struct import Struct
from kwlab.timer import MAX_JIFFY_OFFSET

pytestmark = pytest.mark.threads


@pytest.fixture
def worker() -> Iterator[KthreadWorker]:
    worker = kthread_run_worker(0, "tested/%u", 7)
    yield worker
    if not kwlab.freed(worker):
        kthread_destroy_worker(worker)


class Gate:
    """A work that holds the worker until it is opened."""

    def __init__(self, worker: KthreadWorker) -> None:
        self.started, self.opened = init_completion("started"), init_completion("opened")
        self.work = DEFINE_KTHREAD_WORK(self._hold)
        assert kthread_queue_work(worker, self.work)
        wait_for_completion(self.started)

    def _hold(self, work: KthreadWork) -> None:
        complete(self.started)
        wait_for_completion(self.opened)

    def open(self) -> None:
        complete(self.opened)


def test_works_run_in_order_once_for_each_true(worker: KthreadWorker) -> None:
    runs: list[str] = []
    gate = Gate(worker)
    a, b = (DEFINE_KTHREAD_WORK(lambda work, name=name: runs.append(name)) for name in "AB")
    assert [kthread_queue_work(worker, work) for work in (a, b, a)] == [True, True, False]
    gate.open()
    kthread_flush_worker(worker)
    assert runs == ["A", "B"]
    assert a.worker is worker


def test_a_running_work_can_be_queued_for_one_more_run(worker: KthreadWorker) -> None:
    gate = Gate(worker)
    assert worker.current_work is gate.work
    assert [kthread_queue_work(worker, gate.work) for _ in range(2)] == [True, False]
    gate.open()
    wait_for_completion(gate.started)
    gate.open()
    kthread_flush_work(gate.work)


def test_the_thread_is_visible_and_not_started_until_woken() -> None:
    worker = kthread_create_worker(0, "a_worker_with_a_long_name/%d", 42)
    task = worker.task
    assert task is not None
    assert task.name == "a_worker_with_a_long_name/42"
    with open(f"/proc/self/task/{task.pid}/comm") as comm:
        assert comm.read() == "a_worker_with_a\n"
    assert kwlab.task_state_to_char(task.state) == "D"
    assert not task.kthread.started
    ran: list[int] = []
    assert kthread_queue_work(worker, DEFINE_KTHREAD_WORK(lambda work: ran.append(1)))
    kthread_destroy_worker(worker)
    assert ran == [1]


def test_a_worker_on_a_cpu_runs_there() -> None:
    cpu = min(os.sched_getaffinity(0))
    worker = kthread_run_worker_on_cpu(cpu, 0, "pinned/%u")
    seen: list[set[int]] = []
    kthread_queue_work(worker, DEFINE_KTHREAD_WORK(lambda work: seen.append(os.sched_getaffinity(0))))
    assert worker.task is not None
    assert worker.task.name == f"pinned/{cpu}"
    kthread_destroy_worker(worker)
    assert seen == [{cpu}]


def test_a_work_may_free_itself(worker: KthreadWorker) -> None:
    work = DEFINE_KTHREAD_WORK(kfree)
    kthread_queue_work(worker, work)
    kthread_flush_worker(worker)
    assert kwlab.freed(work)
    with pytest.raises(UseAfterFree, match=r"KthreadWork\.\w+.*freed in"):
        kthread_queue_work(worker, work)


class Device(Struct):
    work: KthreadWork
    count: int


def test_container_of_leads_from_the_work_to_the_struct(worker: KthreadWorker) -> None:
    device = Device()

    def handler(work: KthreadWork) -> None:
        container_of(work, Device, "work").count += 1

    kthread_init_work(device.work, handler)
    kthread_queue_work(worker, device.work)
    kthread_flush_work(device.work)
    assert device.count == 1
    with pytest.raises(TypeError, match="not the member 'work'"):
        container_of(KthreadWork(), Device, "work")


def test_freeze_and_thaw() -> None:
    worker = kthread_run_worker(KTW_FREEZABLE, "freezable")
    kthread_flush_worker(worker)
    freeze_processes()
    ran: list[int] = []
    work = DEFINE_KTHREAD_WORK(lambda work: ran.append(1))
    assert kthread_queue_work(worker, work)
    assert worker.task is not None
    assert kwlab.task_state_to_char(worker.task.state) == "F"
    assert ran == []
    thaw_processes()
    kthread_flush_work(work)
    assert ran == [1]
    kthread_destroy_worker(worker)


def test_a_warning_of_the_freezer_is_kept_for_the_next_flush() -> None:
    worker = kthread_run_worker(KTW_FREEZABLE, "careless")
    freezing = init_completion("freezing")

    def leave_a_state_behind(work: KthreadWork) -> None:
        wait_for_completion(freezing)
        kwlab.set_current_state(kwlab.TASK_INTERRUPTIBLE)

    kthread_queue_work(worker, DEFINE_KTHREAD_WORK(leave_a_state_behind))
    # Half of freeze_processes(): its wake-up could take back the state that is left behind.
    runtime = current().runtime
    assert isinstance(runtime, ThreadRuntime)
    runtime.freeze_in_progress = True
    complete(freezing)
    runtime.settle()
    thaw_processes()
    with pytest.warns(KernelWarning, match="try_to_freeze: blocking call in state 0x1"):
        kthread_flush_worker(worker)
    kthread_destroy_worker(worker)


def test_a_task_that_refuses_to_freeze_is_named_and_everybody_thawed() -> None:
    worker = kthread_run_worker(KTW_FREEZABLE, "stubborn")
    gate = Gate(worker)
    with pytest.raises(OSError, match="stubborn"):
        freeze_processes(limit=5)
    assert not current().runtime.freeze_in_progress
    gate.open()
    kthread_destroy_worker(worker)


# ------------------------------------------------------------------------------ warnings, oopses, deadlocks


def test_a_warn_is_issued_after_the_function_is_complete(worker: KthreadWorker) -> None:
    second = kthread_run_worker(0, "second")
    work = DEFINE_KTHREAD_WORK(lambda work: None)
    kthread_queue_work(worker, work)
    kthread_flush_work(work)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(KernelWarning, match="kthread_insert_work"):
            kthread_queue_work(second, work)
    assert second.lock.holder is None
    kthread_flush_work(work)
    assert work.worker is second
    kthread_destroy_worker(second)


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(3), KeyboardInterrupt(), BaseException("base")])
def test_an_exception_in_a_work_is_kept_for_the_next_flush(worker: KthreadWorker, error: BaseException) -> None:
    def broken(work: KthreadWork) -> None:
        raise error

    work = DEFINE_KTHREAD_WORK(broken)
    kthread_queue_work(worker, work)
    with pytest.warns(KernelWarning, match=rf"broken.*tested/7.*{type(error).__name__}") as caught:
        kthread_flush_worker(worker)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kthread_flush_worker(worker)


def test_waiting_for_ones_own_worker_is_refused_after_every_earlier_step(worker: KthreadWorker) -> None:
    caught: list[BaseException] = []

    def cancel_myself(work: KthreadWork) -> None:
        try:
            kthread_cancel_work_sync(work)
        except DeadlockError as error:
            caught.append(error)

    work = DEFINE_KTHREAD_WORK(cancel_myself)
    kthread_queue_work(worker, work)
    kthread_flush_worker(worker)
    assert len(caught) == 1
    assert "tested/7" in str(caught[0])
    assert work.canceling == 0
    assert kwlab.list_empty(worker.work_list)
    assert kthread_queue_work(worker, work)
    kthread_flush_work(work)


@pytest.mark.parametrize(
    "wait",
    [
        lambda worker, work: kthread_flush_worker(worker),
        lambda worker, work: kthread_flush_work(work),
        lambda worker, work: kthread_destroy_worker(worker),
    ],
    ids=["flush_worker", "flush_work", "destroy"],
)
def test_flushing_ones_own_worker_is_refused(worker: KthreadWorker, wait: Any) -> None:
    refused: list[str] = []

    def handler(work: KthreadWork) -> None:
        try:
            wait(worker, work)
        except DeadlockError as error:
            refused.append(str(error))

    work = DEFINE_KTHREAD_WORK(handler)
    kthread_queue_work(worker, work)
    kthread_flush_worker(worker)
    assert len(refused) == 1
    assert "'tested/7' waits for that same worker" in refused[0]
    assert kwlab.list_empty(worker.work_list)
    assert worker.task is not None


# ----------------------------------------------------------------------------------------------------------- bad input


def test_queueing_what_cannot_be_queued(worker: KthreadWorker) -> None:
    with pytest.raises(TypeError, match="must be a KthreadWork, not 42"):
        kthread_queue_work(worker, 42)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"pass its \.work"):
        kthread_queue_work(worker, KthreadDelayedWork())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kthread_init_work"):
        kthread_queue_work(worker, KthreadWork())
    with pytest.raises(LockingError, match="kthread_init_worker"):
        kthread_queue_work(KthreadWorker(), DEFINE_KTHREAD_WORK(print))
    with pytest.raises(TypeError, match="not callable"):
        DEFINE_KTHREAD_WORK("print")  # type: ignore[arg-type]
    assert worker.lock.holder is None


def test_a_destroyed_worker(worker: KthreadWorker) -> None:
    kthread_destroy_worker(worker)
    work = DEFINE_KTHREAD_WORK(print)
    for use in (lambda: kthread_queue_work(worker, work), lambda: kthread_destroy_worker(worker)):
        with pytest.raises(UseAfterFree, match=r"KthreadWorker\.\w+; the KthreadWorker was freed in _free_worker"):
            use()


def test_initialising_a_pending_work_or_a_live_worker(worker: KthreadWorker) -> None:
    gate = Gate(worker)
    work = DEFINE_KTHREAD_WORK(lambda work: None)
    kthread_queue_work(worker, work)
    with pytest.raises(RuntimeError, match="kthread_cancel_work_sync"):
        kthread_init_work(work, print)
    dwork = DEFINE_KTHREAD_DELAYED_WORK(print)
    kthread_queue_delayed_work(worker, dwork, 100_000)
    with pytest.raises(RuntimeError, match="kthread_cancel_work_sync"):
        kthread_init_delayed_work(dwork, print)
    assert kthread_cancel_delayed_work_sync(dwork)
    with pytest.raises(RuntimeError, match="kthread_stop"):
        kthread_init_worker(worker)
    gate.open()
    kthread_flush_worker(worker)


def test_a_cpu_that_is_not_there_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    with pytest.raises(OSError, match=r"CPU 4096.*may use CPU 0"):
        kthread_create_worker_on_cpu(4096, 0, "nowhere/%u")
    assert set(threading.enumerate()) <= before


def test_a_cpu_that_the_system_refuses_is_named_beside_those_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, cpus: Any) -> None:
        raise OSError(errno.EINVAL, "as a cpuset does")

    before = set(threading.enumerate())
    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    usable = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
    with pytest.raises(OSError, match=f"cannot bind to CPU 0: this process may use CPU {usable}") as refused:
        kthread_run_worker_on_cpu(0, 0, "refused/%u")
    assert refused.value.errno == errno.EINVAL
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize(("delay", "error"), [(-1, ValueError), (MAX_JIFFY_OFFSET + 1, ValueError), (0.5, TypeError)])
def test_delays_out_of_range(worker: KthreadWorker, delay: Any, error: type[Exception]) -> None:
    dwork = DEFINE_KTHREAD_DELAYED_WORK(print)
    for call in (kthread_queue_delayed_work, kthread_mod_delayed_work):
        with pytest.raises(error, match=str(delay)):
            call(worker, dwork, delay)


def test_the_longest_delay_is_accepted(worker: KthreadWorker) -> None:
    dwork = DEFINE_KTHREAD_DELAYED_WORK(print)
    assert kthread_queue_delayed_work(worker, dwork, MAX_JIFFY_OFFSET)
    assert kthread_cancel_delayed_work_sync(dwork)


def test_names_and_flags() -> None:
    with pytest.raises(ValueError, match="demo/%u"):
        kthread_run_worker(0, "demo/%u")
    with pytest.raises(ValueError, match="0x4"):
        kthread_run_worker(4, "demo")
    with pytest.raises(ValueError, match="needs a name"):
        Worker("")


def test_destroying_an_embedded_worker_without_a_thread_warns() -> None:
    worker = KthreadWorker()
    kthread_init_worker(worker)
    with pytest.warns(KernelWarning, match="no thread"):
        kthread_destroy_worker(worker)
    task = kthread_run(kthread_worker_fn, worker, "embedded")
    kthread_flush_worker(worker)
    assert kthread_stop(task) == 0


def run_python(code: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, **options)


UNPRIVILEGED = """
import os
from kwlab import *
os.setgid(65534); os.setuid(65534)
worker = kthread_create_worker(0, "plain")
for call in (lambda: sched_set_fifo(worker.task), lambda: set_user_nice(worker.task, -20)):
    try:
        call()
    except PermissionError as error:
        print(error)
kthread_destroy_worker(worker)
"""


def test_priorities_need_a_privilege_and_say_which() -> None:
    worker = kthread_create_worker(0, "important")
    task = worker.task
    assert task is not None
    if os.geteuid() != 0:
        kthread_destroy_worker(worker)
        pytest.skip("needs root, to have the privilege and to drop it")
    sched_set_fifo(task)
    assert os.sched_getscheduler(task.pid) == os.SCHED_FIFO
    assert os.sched_getparam(task.pid).sched_priority == 50
    kthread_destroy_worker(worker)
    polite = kthread_create_worker(0, "polite")
    assert polite.task is not None
    set_user_nice(polite.task, 7)
    assert os.getpriority(os.PRIO_PROCESS, polite.task.pid) == 7
    kthread_destroy_worker(polite)
    # The interpreter may lie where only root can read: import first, drop the privilege after.
    done = run_python(UNPRIVILEGED)
    assert done.stdout.count("CAP_SYS_NICE") == 2, done.stderr


FORGOTTEN = """
from kwlab import *
worker = kthread_create_worker(0, "forgotten")
def never_run(work): pass
started = init_completion()
def hold(work):
    complete(started)
    wait_for_completion(init_completion())
kthread_queue_work(worker, DEFINE_KTHREAD_WORK(hold))
wait_for_completion(started)
kthread_queue_work(worker, DEFINE_KTHREAD_WORK(never_run))
"""


def test_a_forgotten_worker_is_reported_and_the_interpreter_ends() -> None:
    done = run_python(FORGOTTEN)
    assert done.returncode == 0
    assert "'forgotten' was never stopped; it still held" in done.stderr
    assert "never_run" in done.stderr


FORKED = """
import os
from kwlab import *
worker = kthread_run_worker(0, "parent")
pid = os.fork()
if pid == 0:
    try:
        kthread_queue_work(worker, DEFINE_KTHREAD_WORK(print))
    except ForkedWorkerError as error:
        own = kthread_run_worker(0, "child")
        ran = []
        kthread_queue_work(own, DEFINE_KTHREAD_WORK(lambda work: ran.append(1)))
        kthread_destroy_worker(own)
        os._exit(7 if ran and "parent" in str(error) else 8)
    os._exit(9)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
kthread_flush_worker(worker)
kthread_destroy_worker(worker)
"""


def test_after_a_fork_the_child_is_told_and_can_make_its_own() -> None:
    done = run_python(FORKED)
    assert done.stdout == "7\n", done.stderr
    assert issubclass(ForkedWorkerError, RuntimeError)


def test_queueing_from_a_signal_handler_that_interrupts_the_lock_holder() -> None:
    worker = KthreadWorker()
    kthread_init_worker(worker)
    work = DEFINE_KTHREAD_WORK(print)
    errors: list[BaseException] = []

    def handler(signum: int, frame: Any) -> None:
        try:
            kthread_queue_work(worker, work)
        except LockingError as error:
            errors.append(error)

    previous = signal.signal(signal.SIGUSR1, handler)
    try:
        with worker.lock:
            signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert len(errors) == 1
    assert "held by this thread already" in str(errors[0])
    assert kthread_queue_work(worker, work)


def test_a_thousand_workers_at_once() -> None:
    ran: list[int] = []
    workers = [kthread_run_worker(0, "many/%d", number) for number in range(1000)]
    for number, worker in enumerate(workers):
        kthread_queue_work(worker, DEFINE_KTHREAD_WORK(lambda work, number=number: ran.append(number)))
    for worker in workers:
        kthread_destroy_worker(worker)
    assert sorted(ran) == list(range(1000))


def test_an_unlocked_contract_is_refused(worker: KthreadWorker) -> None:
    with pytest.raises(LockingError, match="must be held"):
        kwlab.worker.kthread_insert_work(worker, DEFINE_KTHREAD_WORK(print), worker.work_list)
