"""The spinlock of real threads: one holder, known by name; recursion refused wherever it begins; tracing switched."""

import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from kwlab import LockingError, current, record
from kwlab.runtime.base import probes
from kwlab.runtime.locks import PAUSE, SPINS, ThreadBits, ThreadSpinLock

pytestmark = pytest.mark.threads

LIMIT = 20.0  # seconds for what takes microseconds


@pytest.fixture
def lock() -> ThreadSpinLock:
    return ThreadSpinLock("tested.lock")


def by_with(lock: ThreadSpinLock) -> None:
    with lock:
        pass


def by_hand(lock: ThreadSpinLock) -> None:
    lock.acquire()
    lock.release()


def test_the_holder_is_known_while_the_lock_is_held_and_no_longer(lock: ThreadSpinLock) -> None:
    me = current()
    assert lock.free
    assert lock.holder is None
    with lock:
        assert lock.holder is me
        assert not lock.free
        assert repr(lock) == f"<spinlock tested.lock held by {current().name}>"
        lock.assert_held()
    assert lock.holder is None
    assert lock.free
    assert repr(lock) == "<spinlock tested.lock free>"


def test_assert_held_names_who_holds_it_instead(lock: ThreadSpinLock) -> None:
    with pytest.raises(LockingError, match=r"'tested\.lock' must be held here; nobody holds it"):
        lock.assert_held()
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        current()
        with lock:
            taken.set()
            done.wait(LIMIT)

    other = threading.Thread(target=hold, name="the-holder")
    other.start()
    try:
        assert taken.wait(LIMIT)
        with pytest.raises(LockingError, match="task 'the-holder' holds it"):
            lock.assert_held()
    finally:
        done.set()
        other.join(LIMIT)
    by_hand(lock)


def test_an_exception_in_the_section_releases_the_lock(lock: ThreadSpinLock) -> None:
    with pytest.raises(KeyError), lock:
        raise KeyError
    assert lock.free


@pytest.mark.parametrize("section", [by_with, by_hand])
def test_threads_take_turns(lock: ThreadSpinLock, section: Callable[[ThreadSpinLock], None]) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(2000):
            lock.acquire()
            try:
                inside.append(1)
                most.append(len(inside))
                inside.pop()
            finally:
                lock.release()
            section(lock)

    threads = [threading.Thread(target=work) for _ in range(4)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # switch threads in the sections too
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
    finally:
        sys.setswitchinterval(before)
    assert not any(thread.is_alive() for thread in threads)
    assert len(most) == 8000
    assert set(most) == {1}
    assert lock.free


def test_a_thread_that_finds_it_taken_gets_it_after_the_release(lock: ThreadSpinLock) -> None:
    got = threading.Event()
    waiter = threading.Thread(target=lambda: (by_hand(lock), got.set()))
    with record() as recorder:
        with lock:
            waiter.start()
            deadline = time.monotonic() + LIMIT
            # Long enough contended that it no longer yields but pauses between tries.
            while not recorder.select("lock_contended") and time.monotonic() < deadline:
                time.sleep(0.0001)
            assert not got.is_set()
        waiter.join(LIMIT)
    assert got.is_set()
    assert len(recorder.select("lock_contended")) == 1


# ----------------------------------------------------------------------------------------------------------- recursion


class SignalAt:
    """Sends the process SIGUSR1 just before the k-th bytecode that runs in kwlab's lock."""

    def __init__(self, k: int) -> None:
        self.left = k
        self.frame: tuple[str, int] | None = None

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_globals.get("__name__") != "kwlab.runtime.locks":
            return self
        frame.f_trace_opcodes = True
        if event == "opcode" and self.frame is None:
            self.left -= 1
            if self.left == 0:
                self.frame = frame.f_code.co_name, frame.f_lasti
                signal.raise_signal(signal.SIGUSR1)
        return self


def interrupted_at(k: int, lock: ThreadSpinLock, section: Callable[[ThreadSpinLock], None]) -> tuple[str, str] | None:
    """Run `section` and take the lock again from a signal handler at bytecode k.

    Gives the function that was interrupted and what became of the handler's attempt; None if there is no k-th bytecode.
    """
    outcomes: list[str] = []

    def handler(signum: int, frame: FrameType | None) -> None:
        # The tracer would count the bytecodes of this attempt too.
        sys.settrace(None)
        free = bool(lock.free)
        try:
            by_hand(lock)
        except LockingError:
            outcomes.append("refused")
        else:
            outcomes.append("got it")
        assert (outcomes[-1] == "got it") == free

    tracer = SignalAt(k)
    previous = signal.signal(signal.SIGUSR1, handler)
    try:
        sys.settrace(tracer)
        try:
            section(lock)
        finally:
            sys.settrace(None)
    finally:
        signal.signal(signal.SIGUSR1, previous)
    return None if tracer.frame is None else (tracer.frame[0], outcomes[0])


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("section", [by_with, by_hand])
def test_a_handler_that_interrupts_the_holder_at_any_bytecode_is_refused_or_served(
    section: Callable[[ThreadSpinLock], None], traced: bool
) -> None:
    seen: set[tuple[str, str]] = set()
    k = 0
    while True:
        k += 1
        lock = ThreadSpinLock("edge.lock")
        if traced:
            with record():
                outcome = interrupted_at(k, lock, section)
        else:
            outcome = interrupted_at(k, lock, section)
        # Whatever the handler met, the interrupted section went on and ended.
        assert lock.free
        assert lock.holder is None
        by_hand(lock)
        if outcome is None:
            break
        seen.add(outcome)
    # Both edges have both sides: before the token is taken and after, before it is put back and after.
    assert {("acquire", "got it"), ("acquire", "refused"), ("release", "got it"), ("release", "refused")} <= seen


def test_a_handler_that_interrupts_a_waiter_waits_too(lock: ThreadSpinLock, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no holder, so its handler is not refused, however long it takes until the holder lets go."""
    taken, let_go = threading.Event(), threading.Event()
    order: list[str] = []

    def hold() -> None:
        with lock:
            taken.set()
            let_go.wait(LIMIT)

    def handler(signum: int, frame: FrameType | None) -> None:
        by_hand(lock)
        order.append("handler")

    def contended(event: str, subject: Any, fields: dict[str, Any]) -> None:
        if event == "lock_contended":
            order.append(event)
            if len(order) == 1:
                signal.raise_signal(signal.SIGUSR1)

    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3 * SPINS:
            let_go.set()
        time.sleep(seconds)

    monkeypatch.setattr("kwlab.runtime.locks.time", SimpleNamespace(sleep=pause))

    holder = threading.Thread(target=hold)
    previous = signal.signal(signal.SIGUSR1, handler)
    probes.append(contended)
    try:
        holder.start()
        assert taken.wait(LIMIT)
        by_hand(lock)
    finally:
        probes.remove(contended)
        signal.signal(signal.SIGUSR1, previous)
        holder.join(LIMIT)
    assert order == ["lock_contended", "lock_contended", "handler"]
    # It only yields at first; after that it lets others have the CPU.
    assert set(pauses[:SPINS]) == {0}
    assert set(pauses[SPINS : 3 * SPINS]) == {PAUSE}
    assert lock.free


def test_a_lock_that_was_lost_is_reported(lock: ThreadSpinLock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kwlab.runtime.locks.time", SimpleNamespace(sleep=lambda seconds: None))
    lock.free.pop()  # what an exception between two bytecodes of the holder would leave
    with pytest.raises(LockingError, match=r"'tested\.lock' was lost: .* Python's own SIGINT handler"):
        lock.acquire()


def test_a_lock_with_an_owner_is_waited_for_as_long_as_it_takes(
    lock: ThreadSpinLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, let_go = threading.Event(), threading.Event()
    tries: list[float] = []

    def hold() -> None:
        with lock:
            taken.set()
            let_go.wait(LIMIT)

    def pause(seconds: float) -> None:
        tries.append(seconds)
        if len(tries) == 30:
            let_go.set()
        time.sleep(0.001)

    monkeypatch.setattr("kwlab.runtime.locks.time", SimpleNamespace(sleep=pause))
    monkeypatch.setattr("kwlab.runtime.locks.SPINS", 2)
    monkeypatch.setattr("kwlab.runtime.locks.ABANDONED", 10)
    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert taken.wait(LIMIT)
        by_hand(lock)
    finally:
        let_go.set()
        holder.join(LIMIT)
    assert len(tries) >= 30


def test_a_nested_section_is_refused(lock: ThreadSpinLock) -> None:
    with lock:
        with pytest.raises(LockingError, match="held by this thread already"):
            lock.acquire()
    assert lock.free


# -------------------------------------------------------------------------------------------------------------- tracing


def test_lock_events_are_there_while_somebody_records_and_cost_nothing_else(lock: ThreadSpinLock) -> None:
    plain = ThreadSpinLock.acquire, ThreadSpinLock.__enter__, ThreadSpinLock.release
    with record() as outer:
        with record() as inner:
            by_with(lock)
        assert plain[0] is not ThreadSpinLock.acquire
        by_hand(lock)
    by_hand(lock)
    assert [event.name for event in inner.events] == ["lock_acquire", "lock_release"]
    assert [event.name for event in outer.events] == ["lock_acquire", "lock_release"] * 2
    assert {event.fields["name"] for event in outer.events} == {"tested.lock"}
    assert (ThreadSpinLock.acquire, ThreadSpinLock.__enter__, ThreadSpinLock.release) == plain
    assert probes == []


def test_recording_may_begin_and_end_inside_a_section(lock: ThreadSpinLock) -> None:
    lock.acquire()
    with record() as recorder:
        lock.release()
        lock.acquire()
    lock.release()
    assert [event.name for event in recorder.events] == ["lock_release", "lock_acquire"]
    assert lock.free


def test_each_flag_bit_stands_alone() -> None:
    bits = ThreadBits()
    bits.set_bit(1)
    bits.set_bit(3)
    bits.clear_bit(1)
    assert [bits.test_bit(bit) for bit in range(8)] == [bit == 3 for bit in range(8)]
