"""Loops that never come to an operation: ``while True: pass`` must get a verdict, and the same one every time.

A clock only raises suspicion: a thread looks now and then whether the exploring thread has used its CPU without taking
a step, and interrupts it if so. The verdict is a second run of the same schedule in which lines are counted. The clock
is the exploring thread's own CPU time, so a busy machine raises none; one that is raised for slow but honest code costs
this one execution, and the search says that it is not complete.

Loops with operations come to the step limit. Whether that is a bug is seen in a second run too: not if somebody was
kept waiting who could have gone on, since every scheduler would have chosen him, and the loop might have ended.
"""

import ctypes
import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from kwlab.explore.again import again
from kwlab.explore.places import file_name, innermost
from kwlab.runtime.model import Ending, ModelRuntime
from kwlab.runtime.model_objects import ModelTask
from kwlab.runtime.model_ops import LOCK

__all__ = ["BUDGET", "Suspicion", "Watch", "kept_waiting", "recount", "watching"]

BUDGET = 100_000  # lines between two operations
PATIENCE = 0.2  # seconds of CPU without a step until there is suspicion
LOOK = 0.05  # seconds between two looks

Prepare = Callable[[ModelRuntime], object]


class Suspicion(BaseException):
    """Raised in the exploring thread, in the scenario's code, by the thread that watches it."""


class Watch:
    """The watch over one exploring thread. `runtime`: the execution under way."""

    def __init__(self) -> None:
        self.runtime: ModelRuntime | None = None
        self.patience = PATIENCE
        self._ident = threading.get_ident()
        self._collecting = False
        self._began = self._collected = 0.0  # seconds of CPU, when a collection began and for all together
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="kwlab-watch", daemon=True)

    def start(self) -> None:
        """From now on look."""
        gc.callbacks.insert(0, self._collection_begins)
        gc.callbacks.append(self._collection_ends)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()
        gc.callbacks.remove(self._collection_begins)
        gc.callbacks.remove(self._collection_ends)

    # What Python collects is nobody's step: it takes long where much is alive, and it runs code (finalizers, callbacks
    # of others) in which an exception would be lost. So one callback comes before all others, and one behind them.

    def _collection_begins(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting, self._began = True, time.thread_time()

    def _collection_ends(self, phase: str, info: dict[str, int]) -> None:
        if phase == "stop" and self._collecting:
            self._collected += time.thread_time() - self._began
            self._collecting = False

    def _look(self) -> None:
        mark: tuple[Any, ...] = ()
        since = 0.0
        while not self._over.wait(LOOK):
            if self._collecting:
                continue
            runtime = self.runtime
            task = runtime.running if runtime is not None else None
            if runtime is None or task is None:
                mark = ()
                continue
            ident = getattr(getattr(task.carrier, "thread", None), "ident", None) or self._ident
            now = _cpu_time(ident) - self._collected
            seen = (runtime, len(runtime.schedule), ident)
            if seen != mark:
                mark, since = seen, now
            elif now - since > self.patience and _in_the_scenario(ident) and not self._collecting:
                # The exploring thread waits for the GIL in the frame just looked at, and finds the exception there.
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(Suspicion))
                mark = ()


def _cpu_time(ident: int) -> float:
    if hasattr(time, "pthread_getcpuclockid"):
        try:
            return time.clock_gettime(time.pthread_getcpuclockid(ident))
        except OSError:
            return 0.0  # the thread has ended
    return time.monotonic()


def _in_the_scenario(ident: int) -> bool:
    frame = sys._current_frames().get(ident)
    return frame is not None and not _is_ours(frame)


def _is_ours(frame: FrameType) -> bool:
    file = frame.f_code.co_filename.replace("\\", "/")
    return "/kwlab/explore/" in file or "/kwlab/runtime/" in file


_watching = threading.local()


@contextmanager
def watching() -> Iterator[Watch]:
    """A watch over the current thread while the block runs. Blocks within it share it: a thread costs more than many a
    search."""
    watch: Watch | None = getattr(_watching, "watch", None)
    if watch is not None:
        yield watch
        return
    watch = Watch()
    watch.start()
    _watching.watch = watch
    try:
        yield watch
    finally:
        _watching.watch = None
        watch.stop()


def recount(scenario: Callable[[], object], first: ModelRuntime) -> Ending:
    """Run the schedule of `first` again and count lines: the ending "endless", or "slow" if the budget is enough."""
    step = lines = 0

    def count(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal step, lines
        if event != "line":
            return count
        if len(runtime.schedule) != step:
            step, lines = len(runtime.schedule), 0
        lines += 1
        if lines > BUDGET and runtime.running is not None:
            found = innermost(frame)
            place = f" (in {found[0].co_name}(), {file_name(found[0].co_filename)}:{found[1]})" if found else ""
            who = runtime.running.name
            runtime.fail("endless", f"{who} goes on for {BUDGET:,} lines without an operation that others see{place}")
        return count

    def call(frame: FrameType, event: str, argument: Any) -> Any:
        return None if _is_ours(frame) else count

    def born(task: ModelTask) -> None:
        entry = task.entry

        def traced() -> object:
            sys.settrace(call)
            try:
                return entry()
            finally:
                sys.settrace(None)

        task.entry = traced

    runtime = again(first)
    runtime.born = born
    before = sys.gettrace()
    try:
        ending = runtime.run(scenario)
    finally:
        sys.settrace(before)
    return ending if ending.kind == "endless" else Ending("slow")


def kept_waiting(scenario: Callable[[], object], first: ModelRuntime, prepare: Prepare | None) -> str:
    """Who could go on in `first`, an execution that came to the step limit, and was not chosen for half of it; "" if
    nobody. It is run again, after ``prepare(runtime)``."""
    waits: dict[ModelTask, int] = {}  # for how many steps in a row
    runtime = again(first)
    follow = runtime.choose
    found = ""

    def choose(enabled: list[ModelTask], me: ModelTask) -> ModelTask | None:
        nonlocal waits, found
        chosen = follow(enabled, me)
        # A lock that is taken and given back again and again would come to him as well.
        waiting = [task for task in runtime.live if task in enabled or (task.op == LOCK and task in waits)]
        waits = {task: waits.get(task, 0) + 1 for task in waiting if task is not chosen and not task.is_device}
        longest = max(waits, key=waits.__getitem__, default=None)
        if longest is not None and waits[longest] >= first.limit // 2:
            found = longest.name
            return None
        return chosen

    runtime.choose = choose
    if prepare is not None:
        prepare(runtime)
    runtime.run(scenario)
    return found
