"""`concurrent.futures.Executor` on kthread workers: every `submit` is one work in the queue of one worker.

    with WorkerExecutor(2, cpus=(0, 1)) as executor:
        futures = [executor.submit(pow, 2, n) for n in range(10)]

What it keeps from the worker: a call never changes its queue, calls of one worker run one at a time in the order of
their submission, and a slow call delays only what is behind it in its own queue. What it gives up for that: an idle
worker takes nothing from a busy one, which a `ThreadPoolExecutor` does. So two calls that wait for each other need
two workers, and a call must not wait for a later one of its own worker.

How it ends. `shutdown`, the end of the last reference, and the end of the program all do the same: a *last work* is
queued on every worker. It comes behind every accepted call, and its thread ends with it. So no call is lost, and
nobody has to wait unless they want to. The program itself waits at its end, before its own `atexit` functions run, as
it does for a `ThreadPoolExecutor`; from then on `submit` raises `RuntimeError`. After `os.fork` the child has no
threads: there `submit` raises `ForkedWorkerError`.

Locks: `_Crew.lock` is taken before any `worker.lock`; no future is touched and nobody sleeps under either.
"""

import itertools
import logging
import os
import threading
import weakref
from _thread import start_new_thread
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent import futures
from concurrent.futures import Executor, Future
from concurrent.futures.thread import BrokenThreadPool
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

from kwlab.bug import issue_kept_on
from kwlab.errors import DeadlockError, ForkedWorkerError
from kwlab.kthread import KTHREAD_SHOULD_STOP, kthread_bind, kthread_stop, to_kthread
from kwlab.listhead import list_del_init, list_for_each_entry
from kwlab.runtime.interrupts import interruptible
from kwlab.runtime.threads import SIGNAL_DELAY
from kwlab.sched import Task, current, raw_spin_lock_init, wake_up_process
from kwlab.worker import (
    KthreadWork,
    KthreadWorker,
    kthread_create_worker,
    kthread_destroy_worker,
    kthread_init_work,
    kthread_queue_work,
)

__all__ = ["WorkerExecutor"]

P = ParamSpec("P")
T = TypeVar("T")

NOTHING: Mapping[str, Any] = MappingProxyType({})
LOGGER = logging.getLogger("concurrent.futures")


class _Call(KthreadWork):
    """One submitted call. It *is* its work: embedding one would cost an object and a cycle more per call."""

    __slots__ = ("args", "fn", "future", "kwargs")

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] = NOTHING) -> None:
        super().__init__()
        self.future: Any = Future()
        self.fn: Any = fn
        self.args: Any = args
        self.kwargs: Any = kwargs
        kthread_init_work(self, _run)


def _run(work: KthreadWork) -> None:
    assert isinstance(work, _Call)
    future, fn, args, kwargs = work.future, work.fn, work.args, work.kwargs
    # The call ends here as a struct does in kfree(): what it holds, and the ring of its list node, must not wait for
    # the garbage collector. The loop never looks into a work again.
    work.future = work.fn = work.args = work.kwargs = None
    work.node.next = work.node.prev = work.node._container = None
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = fn(*args, **kwargs)
    except BaseException as error:
        future.set_exception(error)
        del future  # the error's traceback holds this frame: without this line a cycle
    else:
        future.set_result(result)


class _Chore(_Call):
    """A call of the executor's own: an initializer, or the last of a worker. Nobody takes it back."""

    __slots__ = ()


def _end_own_thread() -> None:
    """The last call of a worker. kthread_stop() would wait here for the very thread that calls it; the loop looks at
    the bit when this returns, before it looks at its list."""
    to_kthread(current()).flags.set_bit(KTHREAD_SHOULD_STOP)


class _Crew:
    """The workers of one executor, and all that outlives the executor object while they are at work."""

    def __init__(self, prefix: str, count: int, cpus: Sequence[int], initializer: Callable[[], object] | None) -> None:
        self.lock = raw_spin_lock_init(f"{prefix}.lock")
        self.initializer = initializer
        # Under `lock`:
        self.broken = ""  # why nothing can be submitted any more
        self.last: list[Future[None]] = []  # of the last works, once they are queued
        self.untouched = set(range(count)) if initializer else set()  # workers that still owe the initializer
        self.forked = False
        self.workers: list[KthreadWorker] = []
        self.tasks: list[Task] = []
        try:
            for number in range(count):
                worker = kthread_create_worker(0, "%s_%u", prefix, number)
                self.workers.append(worker)
                assert worker.task is not None
                self.tasks.append(worker.task)
                if cpus:
                    kthread_bind(worker.task, cpus[number % len(cpus)])
        except BaseException:
            for worker in self.workers:
                kthread_destroy_worker(worker)
            raise
        for task in self.tasks:
            wake_up_process(task)

    def queue(self, number: int, call: _Call) -> None:
        """Queue `call` on one worker, unless no calls are accepted any more."""
        if self.forked:
            raise ForkedWorkerError("this WorkerExecutor was made before os.fork(): make a new one in the child")
        worker = self.workers[number]
        with self.lock:
            if self.broken:
                raise BrokenThreadPool(self.broken)
            if self.last:
                when = "interpreter shutdown" if _exit.begun else "shutdown"
                raise RuntimeError(f"cannot schedule new futures after {when}")
            if number in self.untouched:
                self.untouched.remove(number)
                kthread_queue_work(worker, _Chore(self.initialise))
            kthread_queue_work(worker, call)

    def initialise(self) -> None:
        """In the worker's thread, before its first call."""
        assert self.initializer is not None
        try:
            self.initializer()
        except BaseException:
            LOGGER.critical("Exception in initializer:", exc_info=True)
            with self.lock:
                self.broken = "a worker's initializer failed, so this executor is not usable anymore"
            for future in self.take_back():
                if future.set_running_or_notify_cancel():
                    future.set_exception(BrokenThreadPool(self.broken))

    def close(self) -> None:
        """Accept no more calls, and let every thread end behind those that were accepted. Never waits."""
        if self.forked:
            return
        with self.lock:
            if self.last:
                return
            for worker in self.workers:
                call = _Chore(_end_own_thread)
                self.last.append(call.future)
                kthread_queue_work(worker, call)

    def take_back(self) -> list[Future[Any]]:
        """Unlink every call that has not begun; its future is the caller's to settle. The call that an idle worker was
        woken for counts as begun, so that it does not depend on when the thread gets a CPU."""
        taken = []
        for worker in self.workers:
            with worker.lock:
                calls = [w for w in list_for_each_entry(worker.work_list, KthreadWork, "node") if type(w) is _Call]
                # Idle with a call in the queue: the thread was woken for it, and only has not run yet.
                first = 1 if worker.current_work is None else 0
                for call in calls[first:]:
                    # A linked work is a pending one: from here on the loop will never see it.
                    list_del_init(call.node)
                    taken.append(call.future)
        return taken

    @interruptible
    def wait(self) -> None:
        """Wait until every thread has ended; only after `close`."""
        if self.forked:
            return
        if current() in self.tasks and self.workers[0].on_deadlock == "raise":
            raise DeadlockError(
                f"a call on worker {current().name!r} waits for the end of its own executor, which waits for that very "
                "call: use shutdown(wait=False) there"
            )
        for last in self.last:
            # In steps, for the main thread: a Ctrl-C that comes just before the wait begins does not end it.
            while not futures.wait([last], SIGNAL_DELAY).done:
                pass
        for task, worker in zip(self.tasks, self.workers, strict=True):
            kthread_stop(task)
            issue_kept_on(worker.kept)

    def ended(self) -> bool:
        """True once every thread has ended."""
        return all(to_kthread(task).exited.done() for task in self.tasks)


class _Exit:
    """The end of the program, and of the parent's threads in a forked child."""

    def __init__(self) -> None:
        self.begun = False
        self.crews: set[_Crew] = set()
        # Before Python joins its threads and runs atexit functions; ThreadPoolExecutor uses the same hook.
        threading._register_atexit(self.run)  # type: ignore[attr-defined]
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.forget)

    def add(self, crew: _Crew) -> None:
        # An executor that nobody shut down leaves its crew here until the next one is made.
        self.crews = {other for other in self.crews if not other.ended()} | {crew}

    def run(self) -> None:
        self.begun = True
        for crew in self.crews:
            crew.close()
        for crew in self.crews:
            crew.wait()

    def forget(self) -> None:
        for crew in self.crews:
            crew.forked = True
        self.crews = set()


_exit = _Exit()
_names = itertools.count()


def _close_abandoned(crew: _Crew) -> None:
    # A weak reference ends wherever the garbage collector happens to run, inside a section of these very locks too;
    # so another thread takes them.
    if not crew.last and not crew.forked:
        start_new_thread(crew.close, ())


class WorkerExecutor(Executor):
    """An executor of exactly `max_workers` kthread workers, all made at once.

    `submit` takes the workers in turn; `submit_keyed` gives all calls of one key to one worker, so that they run in
    order. `cpus`: worker i is bound to ``cpus[i % len(cpus)]``; none: nobody is bound. `thread_name_prefix`: worker i
    is called ``prefix_i``. `initializer` (with `initargs`) runs in each worker's thread before its first call; if it
    raises, pending and later calls get `concurrent.futures.thread.BrokenThreadPool`.

    Cancelling a future that has not begun leaves its work queued; its turn passes without a call.
    ``loop.run_in_executor(executor, fn)`` of asyncio works; `loop.set_default_executor` insists on a
    ThreadPoolExecutor and does not.

    Errors: `TypeError` and `ValueError` for bad arguments, `OSError` EINVAL for a CPU that is not to be had (nothing
    is left behind), `RuntimeError` once the program is ending.
    """

    def __init__(
        self,
        max_workers: int = 1,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        cpus: Sequence[int] = (),
    ) -> None:
        if not isinstance(max_workers, int):
            raise TypeError(f"max_workers must be a whole number, not {max_workers!r}")
        if max_workers < 1:
            raise ValueError(f"max_workers must be greater than 0, not {max_workers}")
        if initializer is not None and not callable(initializer):
            raise TypeError(f"initializer must be a callable, not {initializer!r}")
        if _exit.begun:
            raise RuntimeError("cannot make a WorkerExecutor after interpreter shutdown")
        prefix = thread_name_prefix or f"executor-{next(_names)}"
        first = None if initializer is None else lambda: initializer(*initargs)
        self._crew = _Crew(prefix, max_workers, cpus, first)
        _exit.add(self._crew)
        self._turns = itertools.count()
        weakref.finalize(self, _close_abandoned, self._crew).atexit = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue ``fn(*args, **kwargs)`` on the worker whose turn it is."""
        return self._submit(next(self._turns), fn, args, kwargs)

    def submit_keyed(self, key: Hashable, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue ``fn(*args, **kwargs)`` on the worker of `key`: calls of equal keys run in order, one at a time."""
        return self._submit(hash(key), fn, args, kwargs)

    def _submit(self, number: int, fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[T]:
        if not callable(fn):
            raise TypeError(f"an executor runs functions, and {fn!r} is not callable")
        call = _Call(fn, args, kwargs)
        future: Future[T] = call.future  # taken now: the worker may be done with the call before `queue` returns
        self._crew.queue(number % len(self._crew.workers), call)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more calls; the threads end when the accepted ones are done, or with `wait` before this returns.

        `cancel_futures` cancels every call that has not begun; the one that an idle worker was woken for has. May be
        called again, to wait after all. Errors: `DeadlockError` for ``wait=True`` in one of the executor's own calls,
        after everything but the wait was done.
        """
        self._crew.close()
        if cancel_futures:
            for future in self._crew.take_back():
                future.cancel()
                future.set_running_or_notify_cancel()
        if wait:
            self._crew.wait()

    def __repr__(self) -> str:
        state = self._crew.broken or ("shut down" if self._crew.last else "running")
        return f"<WorkerExecutor of {', '.join(task.name for task in self._crew.tasks)}: {state}>"
