"""Ctrl-C between any two bytecodes of a direct `replay` or `record`: it comes out, and nothing else comes of it.

A trace function notes which bytecodes an undisturbed run passes in the main thread. Then each, or one in so many, is
interrupted where it is met first: the handler of SIGINT is called there, as Python does between two bytecodes.
"""

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

import pytest
from greenlet import greenlet

from kwlab import (
    DEFINE_KTHREAD_WORK,
    KthreadWorker,
    kthread_destroy_worker,
    kthread_flush_worker,
    kthread_queue_work,
    kthread_run_worker,
)
from kwlab.explore import Options, check, record, replay
from kwlab.explore.engine import pool
from kwlab.explore.invariants import INVARIANTS
from kwlab.runtime import interrupts
from kwlab.runtime.base import local, probes

pytestmark = pytest.mark.threads

DELIVERY_LIMIT = 5.0  # seconds within which a deferred Ctrl-C must arrive
ONE_IN = {"replay": 37, "record": 111}  # of all bytecodes, where not all are interrupted

Place = tuple[CodeType, int]  # a bytecode
Call = Callable[[], object]  # returns what was found


def scenario() -> None:
    runs: list[str] = []
    worker = kthread_run_worker(0, "demo")
    kthread_queue_work(worker, DEFINE_KTHREAD_WORK(lambda work: runs.append("work")))
    kthread_flush_worker(worker)
    kthread_destroy_worker(worker)
    assert not runs, "it ran"


def calling(function: str, backend: str) -> Call:
    """`replay` or `record` of the scenario's bug, with all that can be swapped for the time of an exploration."""
    schedule = check(scenario).schedule
    assert schedule is not None

    def call() -> object:
        options = Options(backend=backend, races=True, invariants=tuple(INVARIANTS))
        found = {"replay": replay, "record": record}[function](scenario, schedule, options)
        return str(found.bug), list(found.schedule)

    return call


def traced(call: Call, met: Callable[[Place, FrameType], object], code: CodeType | None = None) -> object:
    """Call `met` before every bytecode that `call` passes, of `code` if that is given; what `call` returns.

    Where a weak reference calls back, Python itself drops whatever is raised, so that is left out.
    """

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code is not (code or frame.f_code) or frame.f_code.co_filename.endswith("_weakrefset.py"):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            met((frame.f_code, frame.f_lasti), frame)
        return trace

    sys.settrace(trace)
    try:
        return call()
    finally:
        sys.settrace(None)


def passed(call: Call) -> list[Place]:
    """The bytecodes that `call` passes, in the order in which they are first met."""
    places: dict[Place, None] = {}
    traced(call, lambda place, frame: places.setdefault(place))
    return list(places)


def interrupted_at(place: Place, presses: int, call: Call) -> object:
    """What `call` returns, or KeyboardInterrupt if it was raised: with Ctrl-C `presses` times at `place`."""
    fired = False

    def press(met: Place, frame: FrameType) -> None:
        nonlocal fired
        if met == place and not fired:
            fired = True
            sys.settrace(None)
            for _ in range(presses):
                handler: Any = signal.getsignal(signal.SIGINT)
                handler(signal.SIGINT, frame)

    try:
        found = traced(call, press, place[0])
        deadline = time.monotonic() + DELIVERY_LIMIT
        while fired and time.monotonic() < deadline:
            time.sleep(0.001)  # lets the thread that delivers it again have the GIL
    except KeyboardInterrupt:
        return KeyboardInterrupt
    assert not fired, f"Ctrl-C in {place} never arrived"
    return found


def swapped() -> dict[str, object]:
    """All that an exploration swaps, or adds to what is global, or takes from a pool."""
    for thread in threading.enumerate():
        if thread.name == "kwlab-sigint":
            thread.join(DELIVERY_LIMIT)
    batons: Any = pool("thread")
    return {
        "handler": signal.getsignal(signal.SIGINT),
        "task": getattr(local, "task", None),
        "runtime": getattr(local, "runtime", None),
        "fields": dict(vars(KthreadWorker)),
        "guard": (time.sleep, threading.Lock, threading.Event.wait),
        "collector": list(gc.callbacks),
        "probes": list(probes),
        "threads": set(threading.enumerate()) - {carrier.thread for carrier in batons.idle},
    }


def greenlets() -> set[greenlet]:
    """Those that are in the middle of something, but for the carriers that wait for a task."""
    gc.collect()
    carriers: Any = pool("greenlet")
    return {one for one in gc.get_objects() if isinstance(one, greenlet) and one} - set(carriers._idle)


@pytest.fixture
def handler(request: pytest.FixtureRequest) -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    if request.param == "kwlab's":
        interrupts.install()
    gc.disable()  # else what it calls is among the bytecodes, now here and now there
    yield
    gc.enable()
    signal.signal(signal.SIGINT, before)


def interrupt(call: Call, presses: int, one_in: int, first: int = 0) -> None:
    expected = call()
    places = passed(call)[first::one_in]
    left, before = greenlets(), swapped()
    reached = 0
    for number, place in enumerate(places):
        if number % 100 == 99:
            gc.collect()
        came = interrupted_at(place, presses, call)
        assert came in (KeyboardInterrupt, expected), place
        reached += came is KeyboardInterrupt
        assert swapped() == before, f"after Ctrl-C in {place}"
        assert call() == expected, f"after Ctrl-C in {place}"
    assert greenlets() == left
    # How threads start and end is not always the same.
    assert reached > 0.95 * len(places)


# One bytecode in four; all of them in ``make flake-hunt``.
PARTS = range(4) if "KWLAB_EVERY_BYTECODE" in os.environ else range(1)
CASES = [("Python's", "replay", 1), ("Python's", "replay", 2), ("Python's", "record", 1), ("kwlab's", "replay", 1)]


@pytest.mark.usefixtures("handler")
@pytest.mark.parametrize("backend", ["greenlet", "thread"])
@pytest.mark.parametrize(("handler", "function", "presses"), CASES, indirect=["handler"])
def test_ctrl_c_comes_out_and_leaves_nothing(function: str, presses: int, backend: str) -> None:
    interrupt(calling(function, backend), presses, ONE_IN[function])


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("handler")
@pytest.mark.parametrize("backend", ["greenlet", "thread"])
@pytest.mark.parametrize(("handler", "function", "presses"), CASES[:2], indirect=["handler"])
@pytest.mark.parametrize("part", PARTS)
def test_at_every_bytecode(part: int, function: str, presses: int, backend: str) -> None:
    interrupt(calling(function, backend), presses, 4, part)
