"""WorkerExecutor: an executor of kthread workers, held to CPython's own tests and to what the worker adds."""

import asyncio
import concurrent.futures
import gc
import itertools
import json
import os
import subprocess
import sys
import sysconfig
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from concurrent.futures.thread import BrokenThreadPool
from pathlib import Path
from typing import Any

import pytest

from kwlab.bug import WARN_ON, issue_warnings
from kwlab.errors import DeadlockError, KernelWarning
from kwlab.executor import WorkerExecutor
from tests import cpython_executor

pytestmark = pytest.mark.threads

LIMIT = 20.0  # seconds; nothing here takes longer unless it hangs
CPUS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


class Gate:
    """A call that says when it has begun and waits until it may go on."""

    def __init__(self) -> None:
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.open.wait(LIMIT)
        return "through"


def threads_of(prefix: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(f"{prefix}_")]


def assert_no_thread_left(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(LIMIT)
    assert [thread.name for thread in threads if thread.is_alive()] == []


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


# ------------------------------------------------------------------------------------------- CPython's own tests


def cpython_tests() -> str | None:
    """The folder whose `test` package has CPython's executor tests: the interpreter's own, or Debian's."""
    debian = f"/usr/lib/python{sys.version_info[0]}.{sys.version_info[1]}"
    for lib in (os.environ.get("CPYTHON_LIB"), sysconfig.get_path("stdlib"), debian):
        for name in ("test_concurrent_futures.py", "test_concurrent_futures/__init__.py"):
            if lib and Path(lib, "test", name).is_file():
                return lib
    return None


@pytest.mark.slow
def test_the_executor_tests_of_cpython_that_apply_pass(project: Path) -> None:
    lib = cpython_tests()
    if lib is None:
        version = "{}.{}".format(*sys.version_info)
        pytest.skip(f"no test_concurrent_futures here: make setup-ci installs Debian's libpython{version}-testsuite")
    program, parts = project / "tests" / "cpython_executor.py", 4
    children = [
        subprocess.Popen(
            [sys.executable, program, lib, str(part), str(parts)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for part in range(parts)
    ]
    try:
        outcomes = []
        for child in children:
            out, err = child.communicate(timeout=100)
            assert child.returncode == 0, err.decode()
            outcomes.append(json.loads(out.splitlines()[-1]))
    finally:
        for child in children:
            child.kill()
            child.communicate()
    failed = {test: text for outcome in outcomes for test, text in outcome["failed"].items()}
    assert failed == {}
    assert [outcome["skipped"] for outcome in outcomes] == [{}] * parts
    assert [outcome["threads"] for outcome in outcomes] == [[]] * parts
    ran = [test for outcome in outcomes for test in outcome["run"]]
    assert len(ran) == len(set(ran)) >= 40
    assert set(itertools.chain(*(outcome["left_out"] for outcome in outcomes))) <= set(cpython_executor.NOT_APPLICABLE)


# ------------------------------------------------------------------------------------------------ order and place


def test_calls_of_one_worker_run_one_at_a_time_in_the_order_of_submission() -> None:
    order: list[int] = []
    with WorkerExecutor() as executor:
        for number in range(500):
            executor.submit(order.append, number)
    assert order == list(range(500))


def test_calls_take_the_workers_in_turn(gate: Gate) -> None:
    with WorkerExecutor(3, "turn") as executor:
        names = [executor.submit(lambda: threading.current_thread().name) for _ in range(7)]
        assert [name.result(LIMIT) for name in names] == [f"turn_{number % 3}" for number in range(7)]
        executor.submit(gate)  # on turn_1, and turn_1 alone waits for it
        beside = [executor.submit(lambda: threading.current_thread().name) for _ in range(2)]
        behind = executor.submit(lambda: threading.current_thread().name)
        assert [name.result(LIMIT) for name in beside] == ["turn_2", "turn_0"]
        assert gate.begun.wait(LIMIT)
        assert not behind.done()
        gate.open.set()
        assert behind.result(LIMIT) == "turn_1"


def test_calls_of_one_key_run_in_order_on_one_worker() -> None:
    ran: dict[str, list[tuple[int, str]]] = {key: [] for key in "abcdefgh"}
    with WorkerExecutor(3, "keyed") as executor:
        for number in range(200):
            for key, calls in ran.items():
                executor.submit_keyed(key, lambda n, c: c.append((n, threading.current_thread().name)), number, calls)
    for calls in ran.values():
        assert [number for number, _ in calls] == list(range(200))
        assert len({name for _, name in calls}) == 1


@pytest.mark.skipif(len(CPUS) < 2, reason="needs Linux and two CPUs")
def test_workers_are_bound_to_the_cpus_in_turn() -> None:
    with WorkerExecutor(3, cpus=CPUS[:2]) as executor:
        masks = [executor.submit(os.sched_getaffinity, 0).result(LIMIT) for _ in range(3)]
    assert masks == [{CPUS[0]}, {CPUS[1]}, {CPUS[0]}]


@pytest.mark.skipif(not CPUS, reason="needs Linux")
def test_a_cpu_that_is_not_to_be_had_is_named_and_leaves_no_thread() -> None:
    with pytest.raises(OSError, match="cannot bind to CPU 4095: this process may use CPU"):
        WorkerExecutor(3, "unbound", cpus=(CPUS[0], 4095))
    assert_no_thread_left(threads_of("unbound"))


# ------------------------------------------------------------------------------------------- results and trouble


def test_result_and_error_reach_the_future() -> None:
    with WorkerExecutor() as executor:
        assert executor.submit(divmod, 7, 2).result(LIMIT) == (3, 1)
        failing = executor.submit(divmod, 7, 0)
        with pytest.raises(ZeroDivisionError):
            failing.result(LIMIT)
        leaving = executor.submit(sys.exit, 3)
        assert isinstance(leaving.exception(LIMIT), SystemExit)
        assert executor.submit(pow, 2, 5).result(LIMIT) == 32


def test_map_keeps_the_order_of_its_arguments() -> None:
    with WorkerExecutor(3) as executor:
        assert list(executor.map(pow, range(50), itertools.repeat(2), timeout=LIMIT)) == [n * n for n in range(50)]


def test_a_cancelled_future_is_not_run_and_its_waiters_hear_of_it(gate: Gate) -> None:
    ran: list[str] = []
    with WorkerExecutor() as executor:
        executor.submit(gate)
        assert gate.begun.wait(LIMIT)
        first, second = executor.submit(ran.append, "first"), executor.submit(ran.append, "second")
        assert first.cancel()
        gate.open.set()
        done, _ = concurrent.futures.wait([first, second], LIMIT)
        assert done == {first, second}
    assert ran == ["second"]
    with pytest.raises(CancelledError):
        first.result(0)


def test_nothing_that_a_call_held_waits_for_the_garbage_collector() -> None:
    class Held:
        def method(self) -> None: ...

        def fail(self) -> None:
            raise ValueError("on purpose")

    with WorkerExecutor() as executor:
        gc.disable()
        try:
            for name in ("method", "fail"):
                held = Held()
                freed = threading.Event()
                weakref.finalize(held, freed.set)
                executor.submit(getattr(held, name))
                del held
                assert freed.wait(LIMIT), name
        finally:
            gc.enable()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: WorkerExecutor(0), ValueError, "max_workers must be greater than 0, not 0"),
        (lambda: WorkerExecutor("two"), TypeError, "max_workers must be a whole number, not 'two'"),
        (lambda: WorkerExecutor(initializer=3), TypeError, "initializer must be a callable, not 3"),
    ],
)
def test_bad_arguments_are_named(make: Callable[[], object], error: type[Exception], message: str) -> None:
    before = threading.active_count()
    with pytest.raises(error, match=message):
        make()
    assert threading.active_count() == before


def test_what_cannot_be_called_is_refused_at_once() -> None:
    with WorkerExecutor() as executor, pytest.raises(TypeError, match="an executor runs functions, and 7 is not"):
        executor.submit(7)  # type: ignore[arg-type]


def test_a_warn_in_a_call_is_issued_at_shutdown() -> None:
    def call() -> None:
        WARN_ON(True, "something that must not happen")
        issue_warnings()  # as at the end of every API call; in a worker's thread they are kept

    executor = WorkerExecutor()
    executor.submit(call).result(LIMIT)
    with pytest.warns(KernelWarning, match="something that must not happen"):
        executor.shutdown()


# ------------------------------------------------------------------------------------------------- the initializer


def test_the_initializer_runs_once_in_every_worker_before_its_first_call() -> None:
    mine = threading.local()
    begun: list[str] = []

    def initialise(value: int) -> None:
        mine.value = value
        begun.append(threading.current_thread().name)

    with WorkerExecutor(2, "init", initialise, (5,)) as executor:
        assert [executor.submit(lambda: mine.value).result(LIMIT) for _ in range(6)] == [5] * 6
    assert sorted(begun) == ["init_0", "init_1"]


def test_many_first_submits_at_once_never_run_a_call_before_the_initializer() -> None:
    for _ in range(30):
        mine, together = threading.local(), threading.Barrier(4)
        with WorkerExecutor(1, initializer=lambda mine=mine: setattr(mine, "ready", True)) as executor:

            def produce() -> bool:
                together.wait(LIMIT)  # noqa: B023
                return executor.submit(lambda: mine.ready).result(LIMIT)  # noqa: B023

            with concurrent.futures.ThreadPoolExecutor(4) as producers:
                assert all(f.result(LIMIT) for f in [producers.submit(produce) for _ in range(4)])


def test_a_failing_initializer_breaks_the_executor_and_every_pending_call(caplog: pytest.LogCaptureFixture) -> None:
    first, queued = Gate(), threading.Event()
    failing = itertools.count()

    def initialise() -> None:
        if next(failing) == 1:  # the second worker's, once there are pending calls everywhere
            assert queued.wait(LIMIT)
            raise ValueError("no licence")

    executor = WorkerExecutor(2, "broken", initialise)
    running = executor.submit(first)
    assert first.begun.wait(LIMIT)
    pending = [executor.submit(pow, 2, 2) for _ in range(8)]
    cancelled = pending.pop()
    assert cancelled.cancel()
    queued.set()
    for future in pending:
        with pytest.raises(BrokenThreadPool, match="initializer failed"):
            future.result(LIMIT)
    with pytest.raises(BrokenThreadPool, match="initializer failed"):
        executor.submit(pow, 2, 2)
    assert "initializer failed" in repr(executor)
    first.open.set()
    assert running.result(LIMIT) == "through"
    threads = threads_of("broken")
    executor.shutdown()
    assert_no_thread_left(threads)
    assert "ValueError: no licence" in caplog.text


# ------------------------------------------------------------------------------------------------------- shutdown


def test_shutdown_runs_what_was_accepted_and_refuses_what_comes_later() -> None:
    executor = WorkerExecutor(2, "accepted")
    threads = threads_of("accepted")
    futures = [executor.submit(pow, n, 2) for n in range(200)]
    executor.shutdown()
    assert [future.result(0) for future in futures] == [n * n for n in range(200)]
    assert_no_thread_left(threads)
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(pow, 2, 2)


def test_shutdown_without_wait_returns_while_a_call_runs_and_a_second_one_waits(gate: Gate) -> None:
    executor = WorkerExecutor(2, "later")
    threads = threads_of("later")
    assert len(threads) == 2
    running, queued = executor.submit(gate), [executor.submit(pow, 2, n) for n in range(5)]
    executor.shutdown(wait=False)
    assert not running.done()
    gate.open.set()
    executor.shutdown()
    assert running.done()
    assert [future.result(0) for future in queued] == [2**n for n in range(5)]
    assert_no_thread_left(threads)
    executor.shutdown()


def test_shutdown_cancels_what_has_not_begun(gate: Gate) -> None:
    executor = WorkerExecutor()
    running = executor.submit(gate)
    assert gate.begun.wait(LIMIT)
    pending = [executor.submit(pow, 2, 2) for _ in range(5)]
    heard: list[Future[Any]] = []
    pending[0].add_done_callback(heard.append)
    executor.shutdown(wait=False, cancel_futures=True)
    assert not running.done()
    done, _ = concurrent.futures.wait(pending, LIMIT)
    assert done == set(pending)
    assert all(future.cancelled() for future in pending)
    assert heard == [pending[0]]
    executor.shutdown(wait=False, cancel_futures=True)  # again: the last work of the worker stays
    gate.open.set()
    executor.shutdown()
    assert running.result(0) == "through"


def test_the_call_that_an_idle_worker_was_woken_for_is_not_cancelled() -> None:
    for _ in range(100):
        executor = WorkerExecutor(2)
        first = [executor.submit(pow, 2, 3), executor.submit(pow, 2, 4)]
        executor.shutdown(cancel_futures=True)
        assert [future.result(0) for future in first] == [8, 16]


def test_shutdown_in_an_own_call_is_a_deadlock_and_says_so() -> None:
    executor = WorkerExecutor(1, "own")
    threads = threads_of("own")
    future = executor.submit(executor.shutdown)
    with pytest.raises(DeadlockError, match=r"own_0.*shutdown\(wait=False\)"):
        future.result(LIMIT)
    assert_no_thread_left(threads)  # everything but the wait was done
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(pow, 2, 2)


def test_shutdown_ends_every_thread_and_so_does_a_with_block() -> None:
    with WorkerExecutor(5, "ended") as executor:
        threads = threads_of("ended")
        assert len(threads) == 5
        executor.submit(pow, 2, 2)
    assert_no_thread_left(threads)


@pytest.mark.parametrize("calls", [0, 50])
def test_an_executor_that_nobody_refers_to_runs_its_calls_and_ends_its_threads(calls: int) -> None:
    executor = WorkerExecutor(2, "abandoned")
    threads = threads_of("abandoned")
    futures = [executor.submit(pow, n, 2) for n in range(calls)]
    del executor
    assert_no_thread_left(threads)
    assert [future.result(0) for future in futures] == [n * n for n in range(calls)]


def test_the_last_reference_may_end_inside_a_section_of_its_own_worker() -> None:
    executor = WorkerExecutor(1, "inside")
    threads = threads_of("inside")
    crew = executor._crew
    with crew.lock, crew.workers[0].lock:
        del executor
    assert_no_thread_left(threads)


def test_producers_that_race_with_shutdown_lose_no_call() -> None:
    for _ in range(20):
        executor = WorkerExecutor(2)
        together = threading.Barrier(4)
        accepted: list[Future[int]] = []

        def produce() -> None:
            together.wait(LIMIT)  # noqa: B023
            try:
                for number in itertools.count():
                    accepted.append(executor.submit(pow, number, 2))  # noqa: B023
            except RuntimeError as error:
                assert "after shutdown" in str(error)  # noqa: PT017

        producers = [threading.Thread(target=produce) for _ in range(3)]
        for producer in producers:
            producer.start()
        together.wait(LIMIT)
        executor.shutdown()
        for producer in producers:
            producer.join(LIMIT)
        # Accepted means run: shutdown has waited for all of them.
        assert all(future.done() for future in accepted)


# --------------------------------------------------------------------------------------- asyncio, signals, the end


def test_it_serves_asyncio() -> None:
    async def main(executor: WorkerExecutor) -> list[int]:
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(executor, pow, n, 2) for n in range(20)))

    with WorkerExecutor(2) as executor:
        assert asyncio.run(asyncio.wait_for(main(executor), LIMIT)) == [n * n for n in range(20)]


def run_python(program: str, expect: int = 0) -> tuple[str, str]:
    """What a program prints on its two outputs; it must end by itself, with exit code `expect`."""
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert child.returncode == expect, child.stderr
    return child.stdout, child.stderr


def test_ctrl_c_ends_the_wait_of_shutdown_and_it_can_be_waited_for_again() -> None:
    program = """
import signal, threading, time
from kwlab.executor import WorkerExecutor
go_on = threading.Event()
executor = WorkerExecutor()
def call():
    deadline = time.monotonic() + 20
    while not executor._crew.last and time.monotonic() < deadline:
        time.sleep(0.001)
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    return go_on.wait(20)
future = executor.submit(call)
try:
    executor.shutdown()
    print("not interrupted")
except KeyboardInterrupt:
    print("interrupted", future.done())
go_on.set()
executor.shutdown()
print(future.result(0))
"""
    assert run_python(program) == ("interrupted False\nTrue\n", "")


@pytest.mark.parametrize("ending", ["", "del executor", "executor.shutdown(wait=False)"])
def test_the_program_ends_after_every_accepted_call(ending: str) -> None:
    program = f"""
import threading
from kwlab.executor import WorkerExecutor
executor = WorkerExecutor(2)
main = threading.main_thread()
executor.submit(main.join, 0.2)  # still running, with the rest behind it, when the main thread is done
for number in range(5):
    executor.submit(print, number, flush=True)
{ending}
"""
    out, err = run_python(program)
    assert sorted(out.split()) == list("01234")
    assert err == ""


def test_at_the_end_of_the_program_nothing_new_is_accepted() -> None:
    program = """
import atexit
from kwlab.executor import WorkerExecutor
def late():
    for call in (lambda: executor.submit(print, "late"), WorkerExecutor):
        try:
            call()
        except RuntimeError as error:
            print(error)
atexit.register(late)
executor = WorkerExecutor()
executor.submit(print, "in time")
"""
    out, err = run_python(program)
    assert out.splitlines() == [
        "in time",
        "cannot schedule new futures after interpreter shutdown",
        "cannot make a WorkerExecutor after interpreter shutdown",
    ]
    assert err == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_is_told_and_ends() -> None:
    program = """
import os, threading
from kwlab.errors import ForkedWorkerError
from kwlab.executor import WorkerExecutor
executor = WorkerExecutor()
print(executor.submit(pow, 2, 2).result(20), flush=True)
child = os.fork()
if not child:
    try:
        executor.submit(pow, 2, 3)
    except ForkedWorkerError as error:
        print(error, flush=True)
    executor.shutdown()
    with WorkerExecutor() as own:
        print(own.submit(pow, 2, 4).result(20), flush=True)
    threading._shutdown()  # what the end of a program runs first: it must not wait for the parent's threads
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(executor.submit(pow, 2, 5).result(20))
"""
    out, _ = run_python(program)
    assert out.splitlines() == [
        "4",
        "this WorkerExecutor was made before os.fork(): make a new one in the child",
        "16",
        "32",
    ]


def test_the_crews_of_abandoned_executors_do_not_pile_up() -> None:
    from kwlab.executor import _exit

    threads: list[threading.Thread] = []
    for _ in range(5):
        executor = WorkerExecutor(1, "piled")
        threads += threads_of("piled")
        del executor
    assert_no_thread_left(threads)
    deadline = time.monotonic() + LIMIT
    with WorkerExecutor() as executor:
        while len(_exit.crews) > 1 and time.monotonic() < deadline:
            _exit.add(executor._crew)
        assert _exit.crews == {executor._crew}
