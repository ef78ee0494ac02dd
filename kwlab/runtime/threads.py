"""The runtime of real threads: every kthread is an OS thread with a name, a TID, a CPU mask and a priority.

A sleeping task waits on its *baton*, a lock that only a wake-up releases. The order is what makes it safe: a waker
first stores TASK_RUNNING, then releases the baton; a sleeper looks at its state after every baton it gets. So a
wake-up between announcement and sleep is never lost, and a baton left over from one costs one extra look.
"""

import errno
import faulthandler
import os
import sys
import tempfile
import threading
import time
from _thread import allocate_lock, get_ident
from collections.abc import Callable
from typing import Any, Literal

from kwlab.runtime import interrupts, linux, reports
from kwlab.runtime.base import Completion, Task, TimerInterrupt, local, probes
from kwlab.runtime.clock import Clock, RealClock
from kwlab.runtime.locks import ThreadBits, ThreadSpinLock
from kwlab.runtime.registry import register
from kwlab.runtime.states import (
    MAX_COMM,
    PF_NOFREEZE,
    TASK_DEAD,
    TASK_NORMAL,
    TASK_RUNNING,
    TASK_UNINTERRUPTIBLE,
    task_state_to_char,
)

__all__ = ["SIGNAL_DELAY", "ThreadRuntime", "ThreadTask", "adopt"]

SIGNAL_DELAY = 0.25  # seconds at most until a sleeping main thread notices a signal
HUNG_TASK_TIMEOUT = 120.0  # seconds in state D until the sleeper reports itself, as the kernel's default


class ThreadTask:
    """One OS thread as a task."""

    epoch = None  # no race detector watches real threads

    __slots__ = (
        "__weakref__",
        "_acquire",
        "_release",
        "asleep",
        "flags",
        "irqs_off",
        "kept",
        "kthread",
        "name",
        "pid",
        "runtime",
        "state",
        "takes_signals",
        "usage",
    )

    def __init__(self, runtime: "ThreadRuntime", name: str) -> None:
        baton = allocate_lock()
        baton.acquire()
        self._acquire, self._release = baton.acquire, baton.release
        self.runtime = runtime
        self.name = name
        self.pid = 0
        self.state = TASK_RUNNING
        self.asleep = False
        self.flags = PF_NOFREEZE
        self.irqs_off = 0
        self.kthread: Any = None
        self.kept: list[str] | None = None
        self.takes_signals = False
        self.usage = 0

    @property
    def comm(self) -> str:
        return self.name[:MAX_COMM]

    def set_current_state(self, state: int) -> None:
        # Under the GIL every store is ordered; a free-threaded build orders it by the lock taken next.
        self.state = state

    def schedule(self) -> None:
        if self.state:
            self._sleep()

    @interrupts.interruptible
    def _sleep(self) -> None:
        # The sleeper is its own watchdog: an uninterruptible sleep wakes up to say that it hangs.
        patience = self.runtime.hung_task_timeout if self.state & TASK_UNINTERRUPTIBLE else threading.TIMEOUT_MAX
        if self.takes_signals:
            interrupts.install()
        # A signal that arrives just before the wait begins does not end it (the C library is not in it yet), and only
        # the main thread runs Python's handlers: so it looks up now and then.
        step = SIGNAL_DELAY if self.takes_signals else threading.TIMEOUT_MAX
        if probes:
            self._switched({"prev_state": task_state_to_char(self.state), "out": True})
        self.asleep = True
        try:
            while self.state:
                if not self._acquire(True, min(step, patience)):
                    patience -= step
                    if patience <= 0:
                        self.runtime.report_hung(self, self.runtime.hung_task_timeout)
                        patience = threading.TIMEOUT_MAX
        except BaseException:
            self.state = TASK_RUNNING
            raise
        finally:
            self.asleep = False
        if probes:
            self._switched({"prev_state": "", "out": False})

    def _switched(self, fields: dict[str, Any]) -> None:
        for probe in probes:
            probe("sched_switch", self, fields)

    def wake_up(self, states: int) -> int:
        if not self.state or not self.state & states:
            return 0
        if probes:
            for probe in probes:
                probe("sched_waking", self, {"state": task_state_to_char(self.state)})
        self.runtime.wakeups += 1
        self.state = TASK_RUNNING
        try:
            self._release()
        except RuntimeError:
            pass  # it has a baton from an earlier wake-up already: one is enough
        return 1

    def cond_resched(self) -> None:
        """Nothing to do: the GIL is handed round by time."""

    def read_once(self, struct: Any, field: str) -> Any:
        return getattr(struct, field)

    def write_once(self, struct: Any, field: str, value: Any) -> None:
        setattr(struct, field, value)

    def freezing(self) -> bool:
        return self.runtime.freeze_in_progress and not self.flags & PF_NOFREEZE

    def __repr__(self) -> str:
        return f"<task {self.name} pid={self.pid} {task_state_to_char(self.state)}>"


class ThreadCompletion:
    """``struct completion`` on real threads."""

    __slots__ = ("_done", "_lock", "_waiters", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._done: float = 0
        self._lock = ThreadSpinLock(f"{name}.wait.lock")
        self._waiters: list[Task] = []

    def complete(self) -> None:
        self._add(1)

    def complete_all(self) -> None:
        self._add(float("inf"))

    def _add(self, count: float) -> None:
        with self._lock:
            self._done += count
            self._wake(len(self._waiters) if count > 1 else 1)

    def _wake(self, count: int) -> None:
        # Who is woken is off the list: the next `complete` must wake the next waiter, even before this one runs.
        woken, self._waiters = self._waiters[:count], self._waiters[count:]
        for waiter in woken:
            waiter.wake_up(TASK_NORMAL)

    def wait(self) -> None:
        me = local.task if hasattr(local, "task") else adopt()
        try:
            while True:
                with self._lock:
                    if self._done:
                        self._done -= 1
                        self._forget(me)
                        return
                    if me not in self._waiters:
                        self._waiters.append(me)
                    # Announced while the lock is held, so `complete` sees either the waiter or nobody to wake.
                    me.set_current_state(TASK_UNINTERRUPTIBLE)
                me.schedule()
        except BaseException:
            with self._lock:
                self._forget(me)
                # It may have been the one that was woken: then it is the next one's turn.
                if self._done:
                    self._wake(1)
            raise

    def _forget(self, me: Task) -> None:
        me.state = TASK_RUNNING
        if me in self._waiters:
            self._waiters.remove(me)

    def try_wait(self) -> bool:
        with self._lock:
            if not self._done:
                return False
            self._done -= 1
            return True

    def done(self) -> bool:
        return bool(self._done)

    def __repr__(self) -> str:
        return f"<completion {self.name} done={self._done} waiters={[task.name for task in self._waiters]}>"


class ThreadRuntime:
    """Makes tasks and primitives on real threads. `with runtime:` makes it the caller's runtime for a while."""

    def __init__(self, clock: Clock | None = None, on_deadlock: Literal["raise", "wait"] = "raise") -> None:
        self.clock: Clock = clock or RealClock()
        self.on_deadlock: Literal["raise", "wait"] = on_deadlock
        self.hung_task_timeout = HUNG_TASK_TIMEOUT
        self.timer_base: Any = None
        self.freeze_in_progress = False
        self.wakeups = 0
        self.log = reports.KernelLog()
        self._tasks: dict[ThreadTask, None] = {}
        self._outer: list[tuple[Any, Any]] = []

    def __enter__(self) -> "ThreadRuntime":
        self._outer.append((getattr(local, "task", None), getattr(local, "runtime", None)))
        local.runtime = self
        adopt()
        return self

    def __exit__(self, *error: object) -> None:
        task, local.runtime = self._outer.pop()
        if task is None:
            del local.task
        else:
            local.task = task
            register(get_ident(), task)

    def close(self) -> None:
        """End the timer thread. Kthreads are ended by whoever made them."""
        self.clock.close()

    def after_fork(self) -> None:
        """In a child process: no thread of the parent is here, and no timer of its."""
        self._tasks.clear()
        self.clock, self.timer_base = RealClock(), None

    def spin_lock(self, name: str) -> ThreadSpinLock:
        return ThreadSpinLock(name)

    def completion(self, name: str) -> Completion:
        return ThreadCompletion(name)

    def bits(self) -> ThreadBits:
        return ThreadBits()

    def spawn(self, entry: Callable[[], None], name: str) -> ThreadTask:
        # Others put Python's own handler back (asyncio does, at its end), so look again whenever a thread is made, and
        # whenever the main thread sleeps.
        interrupts.install()
        task = ThreadTask(self, name)
        task.state = TASK_UNINTERRUPTIBLE
        task.kept = []
        thread = threading.Thread(target=self._run, args=(task, entry), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise OSError(errno.ENOMEM, f"cannot make a thread for kthread {name!r}: {error}") from None
        task.pid = thread.native_id or 0
        self._tasks[task] = None
        linux.set_comm(task.pid, task.comm)
        return task

    def _run(self, task: ThreadTask, entry: Callable[[], None]) -> None:
        local.task, local.runtime = task, self
        register(get_ident(), task)
        try:
            task.schedule()
            entry()
        finally:
            task.state = TASK_DEAD
            self._tasks.pop(task, None)

    def tasks(self) -> list[Task]:
        return list(self._tasks)

    def quiescent(self) -> bool:
        """True if every task but the caller sleeps, so that nothing happens until the caller or a timer acts."""
        before = self.wakeups
        me = getattr(local, "task", None)  # a thread that kwlab has not met yet, such as one of Jupyter's, is no task
        sleeping = all(task.asleep and task.state for task in list(self._tasks) if task is not me)
        return sleeping and self.wakeups == before

    def settle(self, limit: float = 20.0) -> None:
        """Wait until `quiescent`; `TimeoutError` names the tasks that still run after `limit` seconds."""
        deadline = time.monotonic() + limit
        while not self.quiescent():
            if time.monotonic() > deadline:
                me = getattr(local, "task", None)
                running = [task.name for task in list(self._tasks) if not task.asleep and task is not me]
                raise TimeoutError(f"not quiet after {limit} s: {', '.join(running)} still running")
            time.sleep(0.0001)

    def jiffies(self) -> int:
        return self.clock.jiffies()

    def program_timer(self, expires: int | None, interrupt: TimerInterrupt) -> None:
        self.clock.program(expires, interrupt)

    def set_affinity(self, task: Task, cpus: frozenset[int]) -> None:
        linux.set_affinity(task.pid, cpus)

    def set_nice(self, task: Task, nice: int) -> None:
        linux.set_nice(task.pid, nice)

    def set_fifo(self, task: Task, priority: int) -> None:
        linux.set_fifo(task.pid, priority)

    def warn(self, message: str) -> None:
        adopt_if_foreign()
        self.printk(f"WARNING: {message}")
        reports.note(local.task, message)

    def oops(self, message: str, error: BaseException) -> None:
        line = f"{message}: {type(error).__name__}: {error}"
        self.printk(line)
        reports.note(local.task, line)
        reports.issue_warnings()

    def printk(self, message: str) -> None:
        self.log.append(message)

    def report_hung(self, task: ThreadTask, seconds: float) -> None:
        """What khungtaskd prints: who hangs, and where everybody is."""
        text = f"INFO: task {task.name}:{task.pid} blocked for more than {seconds:g} seconds (state D)."
        self.printk(text)
        with tempfile.TemporaryFile("w+") as stacks:
            faulthandler.dump_traceback(stacks)
            stacks.seek(0)
            print(f"{text} Stacks of all threads:\n{stacks.read()}", file=sys.__stderr__)


_default = ThreadRuntime()
interrupts.install()


def adopt() -> ThreadTask:
    """Make a task of the calling thread, in the runtime it entered or else in the process's own."""
    runtime = getattr(local, "runtime", None) or _default
    task = ThreadTask(runtime, threading.current_thread().name)
    task.pid = threading.get_native_id()
    task.takes_signals = threading.current_thread() is threading.main_thread()
    local.task, local.runtime = task, runtime
    register(get_ident(), task)
    return task


def adopt_if_foreign() -> None:
    """Make sure that the calling thread is a task."""
    if not hasattr(local, "task"):
        adopt()


def _forget_threads_of_the_parent() -> None:
    _default.after_fork()
    if isinstance(getattr(local, "task", None), ThreadTask):
        local.task.pid = threading.get_native_id()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads_of_the_parent)
