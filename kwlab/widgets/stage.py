"""A worker on a stage: works that can be stopped inside their functions, and calls that may wait, each in a thread.

No widget in here. `LiveQueue` turns buttons into calls of a `Stage` and draws what it holds.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

from kwlab.face import Worker
from kwlab.kthread import kthread_run, kthread_stop
from kwlab.runtime.threads import ThreadRuntime
from kwlab.sched import Task, complete, complete_all, init_completion, wait_for_completion
from kwlab.struct import freed
from kwlab.worker import (
    KthreadWork,
    KthreadWorker,
    kthread_cancel_work_sync,
    kthread_destroy_worker,
    kthread_flush_work,
    kthread_init_work,
    kthread_queue_work,
)

__all__ = ["Act", "Stage"]


class Act:
    """One work of the stage, and what became of the calls on it."""

    def __init__(self, name: str, enter: Callable[[str], None]) -> None:
        self.name = name
        self.work = KthreadWork()
        self.accepted = self.refused = 0

        def func(work: KthreadWork) -> None:
            enter(name)

        func.__name__ = name
        kthread_init_work(self.work, func)


class Stage:
    """`worker` with a work for each of `names`. The stage takes the worker over: `close` destroys it."""

    def __init__(self, worker: KthreadWorker | Worker, names: Sequence[str]) -> None:
        self.worker = worker.worker if isinstance(worker, Worker) else worker
        if not isinstance(self.worker, KthreadWorker):
            raise TypeError(f"this needs a running worker, such as kthread_run_worker(0, 'demo'), not {worker!r}")
        if freed(self.worker) or self.worker.task is None:
            raise ValueError("this worker has no thread: make a new one with kthread_run_worker(0, 'demo')")
        runtime = self.worker.task.runtime
        if not isinstance(runtime, ThreadRuntime):
            raise TypeError("this needs a worker on real threads, not one of the model")
        self._runtime = runtime
        self.name = self.worker.task.name
        self.started: list[str] = []
        self.holding = False
        self._gate = init_completion("gate")
        complete_all(self._gate)
        self.acts = {name: Act(name, self._enter) for name in names}
        self._hold = Act("hold", self._enter)
        self._waiting: dict[Task, str] = {}
        self._answers: list[str] = []

    def _enter(self, name: str) -> None:
        # In the worker's thread: it notes and waits, and never shows anything.
        if name != "hold":
            self.started.append(name)
        wait_for_completion(self._gate)

    @property
    def closed(self) -> bool:
        return freed(self.worker)

    def hold(self) -> None:
        """From now on every work stops inside its function; a work of our own keeps the thread there at once."""
        if not self.holding:
            self.holding = True
            self._gate = init_completion("gate")
            kthread_queue_work(self.worker, self._hold.work)

    def let_one_go(self) -> None:
        """The work that is stopped inside its function returns from it; the next one stops in its turn."""
        if self.holding and self.worker.current_work is not None:
            complete(self._gate)

    def release(self) -> None:
        """No work stops any more."""
        self.holding = False
        complete_all(self._gate)

    def queue(self, name: str) -> bool:
        """`kthread_queue_work`."""
        act = self.acts[name]
        queued = kthread_queue_work(self.worker, act.work)
        act.accepted += queued
        act.refused += not queued
        return queued

    def flush(self, name: str) -> None:
        """`kthread_flush_work` in a thread of its own, for it may have to wait."""
        self._in_a_thread(f"flush_work({name})", lambda: kthread_flush_work(self.acts[name].work))

    def cancel(self, name: str) -> None:
        """`kthread_cancel_work_sync` in a thread of its own, for it may have to wait."""
        self._in_a_thread(f"cancel_work_sync({name})", lambda: kthread_cancel_work_sync(self.acts[name].work))

    def _in_a_thread(self, call: str, action: Callable[[], bool | None]) -> None:
        def threadfn(_: None) -> int:
            answer = action()
            self._answers.append(f"{call} returned" + (f" {answer}" if answer is not None else ""))
            return 0

        self._waiting[kthread_run(threadfn, None, "%s", call)] = call

    def settle(self) -> tuple[list[str], list[str]]:
        """Wait (not for ever) until nothing moves; what calls returned since the last look, and which still wait."""
        with suppress(TimeoutError):  # somebody else's thread is busy: the look is at a moment, not at a rest
            self._runtime.settle(2.0)
        for task in [task for task in self._waiting if task.kthread.exited.done()]:
            del self._waiting[task]
        answers, self._answers = self._answers, []
        return answers, list(self._waiting.values())

    def close(self) -> None:
        """Take back what is queued, let the running work go, end every thread. Again does nothing."""
        if self.closed:
            return
        works = [act.work for act in (*self.acts.values(), self._hold)]
        for work in works:
            # The one that is held inside its function would be waited for; the others must not start any more.
            if self.worker.current_work is not work:
                kthread_cancel_work_sync(work)
        self.release()
        for work in works:
            kthread_cancel_work_sync(work)
        for task in self._waiting:
            kthread_stop(task)
        self._waiting.clear()
        kthread_destroy_worker(self.worker)
