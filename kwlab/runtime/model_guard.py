"""What a scenario must not touch: the wall clock, real sleeps and locks, unseeded chance. Each gets an error that
names the line.

A scenario is run thousands of times and must do the same each time, and all its tasks share one thread, so that a real
wait would be for ever. While somebody explores, the functions of `time`, `random` and `threading` that do such things
are replaced by ones that refuse, but only on the exploring thread and only inside a scenario: every other
thread, live workers and their timers among them, gets the real thing.
"""

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kwlab.runtime.base import local
from kwlab.runtime.model import ModelRuntime
from kwlab.runtime.model_objects import ModelTask

__all__ = ["UncontrolledError", "guarded"]


class UncontrolledError(RuntimeError):
    """A scenario asked for something that differs from run to run, or would block for real."""


_TIME = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns")
_RANDOM = (
    "betavariate",
    "choice",
    "choices",
    "expovariate",
    "gauss",
    "getrandbits",
    "randbytes",
    "randint",
    "random",
    "randrange",
    "sample",
    "shuffle",
    "triangular",
    "uniform",
)
_REAL = "is of real threads, and all tasks here share one: it would block for real; use raw_spin_lock_init() or "
_REAL += "init_completion()"
_ADVICE = {
    **{name: ("time", f"time.{name}() reads the wall clock; use jiffies(), the virtual time") for name in _TIME},
    "sleep": ("time", "time.sleep() would block for real; use msleep() or schedule_timeout(), in virtual time"),
    **{
        name: ("random", f"random.{name}() is not seeded here; make your own random.Random(seed) in the scenario")
        for name in _RANDOM
    },
    **{name: ("threading", f"threading.{name}() {_REAL}") for name in ("Lock", "RLock")},
}
# Methods that wait, by class. (Thread.join is none of them: a thread that is not explored goes on meanwhile.)
_WAITS = ((threading.Condition, "wait"), (threading.Event, "wait"), (threading.Semaphore, "acquire"))
_modules = {"time": time, "random": random, "threading": threading}
_lock = threading.Lock()
_exploring = 0
_originals: dict[str, Any] = {}
_waits: list[Any] = []


@contextmanager
def guarded(*namespaces: dict[str, Any]) -> Iterator[None]:
    """Refuse uncontrolled calls while the block runs; also where `namespaces` (a module's globals) imported them."""
    global _exploring
    with _lock:
        _exploring += 1
        if _exploring == 1:
            _install()
    names = [(space, name, value) for space in namespaces for name, value in space.items() if _is_original(value)]
    for space, name, value in names:
        space[name] = getattr(_modules[_ADVICE[value.__name__][0]], value.__name__)
    try:
        yield
    finally:
        for space, name, value in names:
            space[name] = value
        with _lock:
            _exploring -= 1
            if not _exploring:
                for name, value in _originals.items():
                    setattr(_modules[_ADVICE[name][0]], name, value)
                for (owner, name), value in zip(_WAITS, _waits, strict=True):
                    setattr(owner, name, value)


def _is_original(value: Any) -> bool:
    name = getattr(value, "__name__", None)
    return isinstance(name, str) and _originals.get(name) == value and callable(value)


def _install() -> None:
    for name, (module, advice) in _ADVICE.items():
        _originals[name] = getattr(_modules[module], name)
        setattr(_modules[module], name, _refusing(_originals[name], advice))
    _waits[:] = [vars(owner)[name] for owner, name in _WAITS]
    for (owner, name), original in zip(_WAITS, _waits, strict=True):
        setattr(owner, name, _refusing(original, f"threading.{owner.__name__}.{name}() {_REAL}"))


def _refusing(original: Callable[..., Any], advice: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        task = getattr(local, "task", None)
        if isinstance(task, ModelTask) and isinstance(task.runtime, ModelRuntime) and task.runtime.running is task:
            frame = sys._getframe(1)
            # The recorder stamps its events with the real time, which no scenario sees; a thread is waited for while
            # it starts, with an Event.
            if not frame.f_globals.get("__name__", "").startswith(("kwlab.", "threading")):
                file = frame.f_code.co_filename.replace("\\", "/").rsplit("/", 1)[-1]
                raise UncontrolledError(f"{file}:{frame.f_lineno} in {frame.f_code.co_name}(): {advice}")
        return original(*args, **kwargs)

    call.__name__ = getattr(original, "__name__", "call")
    return call
