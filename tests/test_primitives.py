"""Lists, completions, timers, states and kthreads on real threads, each by itself."""

import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kwlab
from kwlab import (
    HZ,
    INIT_LIST_HEAD,
    TASK_INTERRUPTIBLE,
    TASK_PARKED,
    TASK_RUNNING,
    TASK_UNINTERRUPTIBLE,
    KernelWarning,
    ListCorruption,
    ListHead,
    TimerList,
    complete,
    complete_all,
    completion_done,
    container_of,
    current,
    init_completion,
    jiffies,
    jiffies_to_msecs,
    kthread_bind,
    kthread_bind_mask,
    kthread_create,
    kthread_park,
    kthread_parkme,
    kthread_run,
    kthread_should_park,
    kthread_should_stop,
    kthread_stop,
    kthread_unpark,
    list_add,
    list_add_tail,
    list_del_init,
    list_empty,
    list_first_entry,
    list_for_each,
    list_for_each_entry,
    list_splice_tail_init,
    mod_timer,
    msecs_to_jiffies,
    schedule,
    schedule_timeout,
    set_current_state,
    task_state_to_char,
    timer_delete,
    timer_delete_sync,
    timer_pending,
    timer_setup,
    try_wait_for_completion,
    wait_for_completion,
    wake_up_process,
)
from kwlab.kthread import to_kthread
from kwlab.runtime.clock import SteppedClock
from kwlab.runtime.threads import ThreadRuntime
from kwlab.sched import Task
from kwlab.struct import Struct
from kwlab.timer import MAX_JIFFY_OFFSET, TIMER_IRQSAFE

LIMIT = 20.0  # seconds for what takes microseconds


@pytest.fixture
def clock() -> Iterator[SteppedClock]:
    """A runtime of its own whose time passes when told."""
    stepped = SteppedClock()
    with ThreadRuntime(stepped):
        yield stepped


def wait_until_ended(task: Any) -> None:
    """`kthread_stop` before that could come before the first line, and then nothing would run."""
    wait_for_completion(to_kthread(task).exited)


def settle() -> None:
    """Wait until every kthread sleeps."""
    runtime = current().runtime
    assert isinstance(runtime, ThreadRuntime)
    runtime.settle(LIMIT)


def begun(task: Task) -> Task:
    """`task`, once it has come to its first sleep or to its end."""
    settle()
    return task


# ---------------------------------------------------------------------------------------------------------------- lists


class Item(Struct):
    """Something with a link in it."""

    number: int
    link: ListHead


def new_list() -> ListHead:
    head = ListHead()
    INIT_LIST_HEAD(head)
    return head


def backwards(head: ListHead) -> list[ListHead]:
    entries, entry = [], head.prev
    while entry is not head:
        entries.append(entry)
        entry = entry.prev
    return entries


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(("add", "add_tail", "before", "del", "splice")), st.integers(0, 7), st.integers(0, 7))
)


@given(OPERATIONS)
def test_two_lists_do_what_two_python_lists_do(operations: list[tuple[str, int, int]]) -> None:
    heads, models = (new_list(), new_list()), ([], [])  # type: tuple[ListHead, ListHead], tuple[list[Item], list[Item]]
    items = [Item() for _ in range(8)]
    for number, item in enumerate(items):
        item.number = number
        INIT_LIST_HEAD(item.link)
    for operation, first, second in operations:
        item, which = items[first], second % 2
        home = next((model for model in models if item in model), None)
        if operation == "splice":
            list_splice_tail_init(heads[which], heads[1 - which])
            models[1 - which].extend(models[which])
            models[which].clear()
        elif operation == "del":
            list_del_init(item.link)  # on an entry that is on no list, too
            if home is not None:
                home.remove(item)
        elif home is None and operation == "add":
            list_add(item.link, heads[which])
            models[which].insert(0, item)
        elif home is None and operation == "add_tail":
            list_add_tail(item.link, heads[which])
            models[which].append(item)
        elif home is None and operation == "before":
            place = next((model for model in models if items[second] in model), None)
            if place is not None:
                list_add_tail(item.link, items[second].link)
                place.insert(place.index(items[second]), item)
        for head, model in zip(heads, models, strict=True):
            assert list(list_for_each_entry(head, Item, "link")) == model
            assert backwards(head) == [entry.link for entry in reversed(model)]
            assert list_empty(head) == (not model)
            if model:
                assert list_first_entry(head, Item, "link") is model[0]
    for item in items:
        assert list_empty(item.link) == (not any(item in model for model in models))


def test_the_entry_in_hand_may_be_unlinked() -> None:
    head, entries = new_list(), [ListHead() for _ in range(3)]
    for entry in entries:
        list_add_tail(entry, head)
    for entry in list_for_each(head):
        list_del_init(entry)
    assert list_empty(head)
    assert all(list_empty(entry) for entry in entries)


def test_linking_twice_is_refused_and_changes_nothing() -> None:
    head, entry = new_list(), ListHead()
    list_add_tail(entry, head)
    for link in (list_add, list_add_tail):
        with pytest.raises(ListCorruption, match="linked already"):
            link(entry, head)
    with pytest.raises(ListCorruption, match="linked already"):
        list_add_tail(head, head)
    assert list(list_for_each(head)) == [entry]


def test_neighbours_that_do_not_agree_are_refused() -> None:
    head, first, second = new_list(), ListHead(), ListHead()
    list_add_tail(first, head)
    INIT_LIST_HEAD(first)  # re-initialised while linked
    with pytest.raises(ListCorruption, match="re-initialised"):
        list_add_tail(second, head)
    head = new_list()
    list_add_tail(first, head)
    head.prev = second  # written over by somebody who does not hold the lock
    with pytest.raises(ListCorruption, match="list_del corruption"):
        list_del_init(first)


def test_container_of_finds_the_struct_and_refuses_any_other() -> None:
    item = Item()
    assert container_of(item.link, Item, "link") is item
    with pytest.raises(TypeError, match="is inside no struct"):
        container_of(ListHead(), Item, "link")


def test_what_a_list_looks_like() -> None:
    head = ListHead()
    assert repr(head) == "<ListHead not initialised>"
    INIT_LIST_HEAD(head)
    assert repr(head) == "<ListHead empty>"
    list_add(ListHead(), head)
    assert repr(head) == "<ListHead linked, 1>"


# ---------------------------------------------------------------------------------------------------------- completions


@pytest.mark.threads
class TestCompletion:
    def test_it_counts(self) -> None:
        done = init_completion("counted")
        assert not completion_done(done)
        assert not try_wait_for_completion(done)
        complete(done)
        complete(done)
        assert completion_done(done)
        wait_for_completion(done)
        assert try_wait_for_completion(done)
        assert not completion_done(done)

    def test_complete_all_lets_everybody_through_for_good(self) -> None:
        done = init_completion()
        complete_all(done)
        for _ in range(3):
            wait_for_completion(done)
        assert completion_done(done)

    def test_each_complete_lets_one_waiter_through(self) -> None:
        done, through = init_completion("gate"), []

        def wait(number: Any) -> int:
            wait_for_completion(done)
            through.append(number)
            return 0

        tasks = [kthread_run(wait, number, "waiter/%d", number) for number in range(3)]
        for expected in range(1, 4):
            settle()
            assert len(through) == expected - 1
            complete(done)
            settle()
        assert sorted(through) == [0, 1, 2]
        assert [kthread_stop(task) for task in tasks] == [0, 0, 0]

    def test_two_completes_in_a_row_wake_two_waiters(self) -> None:
        """Even if the first waiter has not run yet when the second `complete` comes."""
        done = init_completion("gate")
        tasks = [kthread_run(lambda data: wait_for_completion(done), None, "waiter/%d", n) for n in range(2)]
        settle()
        before = sys.getswitchinterval()
        sys.setswitchinterval(60)  # nobody else gets the GIL between the two
        try:
            complete(done)
            complete(done)
        finally:
            sys.setswitchinterval(before)
        settle()
        assert [task_state_to_char(task.state) for task in tasks] == ["X", "X"]
        for task in tasks:
            kthread_stop(task)

    def test_an_interrupted_waiter_passes_the_turn_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Woken and interrupted at once, it takes nothing: then the waiter behind it must not sleep on."""
        done, behind = init_completion("gate"), []
        me = current()
        tasks = []
        monkeypatch.setattr(type(me), "schedule", schedule_but_interrupt(me, lambda: add_waiter_and_complete()))

        def add_waiter_and_complete() -> None:
            tasks.append(kthread_run(lambda data: (wait_for_completion(done), behind.append(1)) and 0, None, "behind"))
            settle()
            complete(done)

        with pytest.raises(KeyboardInterrupt):
            wait_for_completion(done)
        assert me.state == TASK_RUNNING
        settle()
        assert behind == [1]
        kthread_stop(tasks[0])
        assert not completion_done(done)

    def test_its_repr_names_the_waiters(self) -> None:
        done = init_completion("gate")
        task = kthread_run(lambda data: wait_for_completion(done), None, "patient")
        settle()
        assert repr(done) == "<completion gate done=0 waiters=['patient']>"
        complete(done)
        kthread_stop(task)
        assert repr(done) == "<completion gate done=0 waiters=[]>"


def schedule_but_interrupt(me: Any, instead: Callable[[], None]) -> Callable[[Any], None]:
    """A `schedule` that sleeps as ever, but in `me` does something else once and is then ended by Ctrl-C."""
    plain = type(me).schedule
    left = [1]

    def schedule(task: Any) -> None:
        if task is me and left:
            left.clear()
            instead()
            raise KeyboardInterrupt
        plain(task)

    return schedule


# --------------------------------------------------------------------------------------------------------------- timers


def noting(calls: list[Any], what: Any) -> Callable[[TimerList], None]:
    return lambda timer: calls.append(what)


class TestTimers:
    @given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.sets(st.integers(0, 7)))
    def test_they_run_in_order_of_expiry_then_of_arming(self, delays: list[int], deleted: set[int]) -> None:
        clock, calls = SteppedClock(), []  # type: SteppedClock, list[tuple[int, int]]
        with ThreadRuntime(clock):
            timers = []
            for number, delay in enumerate(delays):
                timer = TimerList()
                timer_setup(timer, lambda timer, number=number: calls.append((jiffies(), number)))
                assert not mod_timer(timer, jiffies() + delay)
                timers.append(timer)
            for number in deleted:
                if number < len(timers):
                    assert timer_delete(timers[number])
                    assert not timer_delete(timers[number])
            clock.step(30)
        assert calls == sorted((delay, number) for number, delay in enumerate(delays) if number not in deleted)

    def test_pending_until_it_runs(self, clock: SteppedClock) -> None:
        timer, seen = TimerList(), []
        timer_setup(timer, lambda timer: seen.append(timer_pending(timer)))
        assert not timer_pending(timer)
        mod_timer(timer, 10)
        clock.step(9)
        assert timer_pending(timer)
        assert seen == []
        clock.step(1)
        assert seen == [False]

    def test_mod_timer_moves_a_pending_timer(self, clock: SteppedClock) -> None:
        timer, calls = TimerList(), []
        timer_setup(timer, lambda timer: calls.append(jiffies()))
        assert not mod_timer(timer, 10)
        assert mod_timer(timer, 25)
        clock.step(100)
        assert calls == [25]

    def test_a_callback_may_arm_its_own_timer_again(self, clock: SteppedClock) -> None:
        timer, calls = TimerList(), []

        def tick(timer: TimerList) -> None:
            calls.append(jiffies())
            if len(calls) < 4:
                mod_timer(timer, jiffies() + 10)

        timer_setup(timer, tick)
        mod_timer(timer, 10)
        clock.step(100)
        assert calls == [10, 20, 30, 40]

    def test_an_error_in_a_callback_does_not_stop_the_others(self, clock: SteppedClock) -> None:
        bad, good, calls = TimerList(), TimerList(), []

        def fail(timer: TimerList) -> None:
            raise ValueError("no good")

        timer_setup(bad, fail)
        timer_setup(good, noting(calls, "good"))
        mod_timer(bad, 5)
        mod_timer(good, 5)
        with pytest.warns(KernelWarning, match="timer callback fail failed: ValueError: no good"):
            clock.step(5)
        assert calls == ["good"]

    @pytest.mark.threads
    def test_delete_sync_waits_for_the_running_callback(self) -> None:
        started, go_on = init_completion("started"), init_completion("go on")
        timer, ended, deleted = TimerList(), [], []

        def callback(timer: TimerList) -> None:
            complete(started)
            wait_for_completion(go_on)
            ended.append(1)

        timer_setup(timer, callback)
        mod_timer(timer, jiffies())
        wait_for_completion(started)
        deleter = kthread_run(lambda data: deleted.append((timer_delete_sync(timer), list(ended))), None, "deleter")
        assert not timer_delete(timer)  # this one does not wait
        complete(go_on)
        wait_until_ended(deleter)
        assert deleted == [(False, [1])]

    def test_delete_sync_with_interrupts_off_only_for_an_irqsafe_timer(self, clock: SteppedClock) -> None:
        plain, safe = TimerList(), TimerList()
        timer_setup(plain, print)
        timer_setup(safe, print, TIMER_IRQSAFE)
        log = current().runtime.log
        with kwlab.local_irq_save():
            timer_delete_sync(safe)
            assert not log.lines
            with pytest.warns(KernelWarning, match="not IRQSAFE"):
                timer_delete_sync(plain)

    def test_what_is_refused(self, clock: SteppedClock) -> None:
        timer = TimerList()
        with pytest.raises(ValueError, match="timer_setup"):
            mod_timer(timer, 5)
        timer_setup(timer, print)
        mod_timer(timer, 5)
        with pytest.raises(RuntimeError, match="timer_delete_sync"):
            timer_setup(timer, print)
        with pytest.raises(ValueError, match=r"schedule_timeout\(-1\)"):
            schedule_timeout(-1)
        with pytest.raises(ValueError, match="cannot go back"):
            clock.step(-1)

    def test_milliseconds(self) -> None:
        assert HZ == 1000
        assert [msecs_to_jiffies(msecs) for msecs in (0, 1, 1500)] == [0, 1, 1500]
        assert msecs_to_jiffies(-1) == MAX_JIFFY_OFFSET
        assert msecs_to_jiffies(2**80) == MAX_JIFFY_OFFSET
        assert jiffies_to_msecs(1500) == 1500


# -------------------------------------------------------------------------------------------------- states and sleeping


@pytest.mark.threads
class TestStates:
    def test_a_wake_up_changes_a_state_and_is_kept_by_nobody(self) -> None:
        me = current()
        assert wake_up_process(me) == 0
        set_current_state(TASK_INTERRUPTIBLE)
        assert wake_up_process(me) == 1
        schedule()  # returns at once: the announcement was taken back
        assert me.state == TASK_RUNNING
        assert wake_up_process(me) == 0

    def test_a_parked_task_is_not_for_wake_up_process(self) -> None:
        me = current()
        set_current_state(TASK_PARKED)
        assert wake_up_process(me) == 0
        assert kwlab.wake_up_state(me, TASK_PARKED) == 1

    def test_an_early_wake_up_is_not_lost_and_a_left_over_one_does_no_harm(self) -> None:
        me, sleeps = current(), []
        for _ in range(200):
            set_current_state(TASK_UNINTERRUPTIBLE)
            waker = kthread_run(lambda data: wake_up_process(me) and 0, None, "waker")
            schedule()
            sleeps.append(me.state)
            wait_until_ended(waker)
        assert set(sleeps) == {TASK_RUNNING}

    def test_schedule_timeout_says_what_was_left(self, clock: SteppedClock) -> None:
        left: list[int] = []
        sleeper = kthread_run(nap, left, "sleeper")
        settle()
        clock.step(30)
        assert left == []
        wake_up_process(sleeper)
        wait_until_ended(sleeper)
        assert left == [70]
        again = kthread_run(nap, left, "sleeper")
        settle()
        clock.step(100)
        wait_until_ended(again)
        assert left == [70, 0]

    def test_letters(self) -> None:
        states = (TASK_RUNNING, TASK_INTERRUPTIBLE, TASK_UNINTERRUPTIBLE, TASK_PARKED, kwlab.TASK_IDLE, kwlab.TASK_DEAD)
        assert "".join(map(task_state_to_char, states)) == "RSDPIX"


def nap(left: list[int]) -> int:
    set_current_state(TASK_INTERRUPTIBLE)
    left.append(schedule_timeout(100))
    return 0


# ------------------------------------------------------------------------------------------------------------- kthreads


def parking_loop(passes: list[str]) -> int:
    passes.append("begun")
    while not kthread_should_stop():
        if kthread_should_park():
            passes.append("parks")
            kthread_parkme()
            passes.append("goes on")
            continue
        set_current_state(TASK_INTERRUPTIBLE)
        if not kthread_should_stop() and not kthread_should_park():
            schedule()
        current().state = TASK_RUNNING
    return 7


@pytest.mark.threads
class TestKthreads:
    def test_stop_returns_what_the_function_returned(self) -> None:
        assert kthread_stop(begun(kthread_run(parking_loop, [], "seven"))) == 7
        assert kthread_stop(begun(kthread_run(lambda data: None, None, "none"))) == 0

    def test_a_kthread_that_was_never_woken_never_runs(self) -> None:
        ran: list[int] = []
        task = kthread_create(ran.append, 1, "never")
        assert task_state_to_char(task.state) == "D"
        assert kthread_stop(task) == -errno.EINTR
        assert ran == []

    def test_park_waits_until_it_is_parked_and_unpark_lets_it_go_on(self) -> None:
        passes: list[str] = []
        task = begun(kthread_run(parking_loop, passes, "parker"))
        kthread_park(task)
        assert passes[-1] == "parks"
        assert wake_up_process(task) == 0
        with (
            pytest.raises(OSError, match="'parker' is parked already: kthread_unpark") as refused,
            pytest.warns(KernelWarning, match="kthread_park: parker is parked already"),
        ):
            kthread_park(task)
        assert refused.value.errno == errno.EBUSY
        kthread_unpark(task)
        settle()
        assert passes == ["begun", "parks", "goes on"]
        assert kthread_stop(task) == 7

    def test_a_parked_kthread_can_be_stopped(self) -> None:
        task = begun(kthread_run(parking_loop, [], "parker"))
        kthread_park(task)
        assert kthread_stop(task) == 7

    def test_parked_before_its_first_line(self) -> None:
        passes: list[str] = []
        task = kthread_create(parking_loop, passes, "parker")
        kthread_park(task)
        assert passes == []
        assert kthread_stop(task) == 7

    def test_an_error_ends_the_thread_and_is_told_to_who_stops_it(self) -> None:
        def broken(data: Any) -> int:
            raise ValueError("broken")

        task = begun(kthread_run(broken, None, "fragile"))
        with pytest.warns(KernelWarning, match="kthread fragile died in broken: ValueError: broken"):
            assert kthread_stop(task) == -errno.EFAULT

    def test_binding_is_for_the_time_before_the_first_wake_up(self) -> None:
        cpus = os.sched_getaffinity(0)
        task = kthread_create(parking_loop, [], "bound")
        kthread_bind_mask(task, cpus)
        kthread_bind(task, min(cpus))
        assert os.sched_getaffinity(task.pid) == {min(cpus)}
        assert task.flags & kwlab.PF_NO_SETAFFINITY
        wake_up_process(task)
        settle()
        with pytest.warns(KernelWarning, match="bound was woken already"):
            kthread_bind(task, max(cpus))
        assert os.sched_getaffinity(task.pid) == {min(cpus)}
        kthread_stop(task)

    def test_what_is_refused(self) -> None:
        with pytest.raises(TypeError, match="function of one argument"):
            kthread_run("parking_loop", None, "no")  # type: ignore[arg-type]
        with pytest.raises(RuntimeError, match="is no kthread"):
            kthread_should_stop()
        with pytest.raises(RuntimeError, match="is no kthread"):
            kthread_stop(current())
        refused: list[str] = []

        def stop_myself(data: Any) -> int:
            try:
                kthread_stop(current())
            except RuntimeError as error:
                refused.append(str(error))
            return 0

        wait_until_ended(kthread_run(stop_myself, None, "suicidal"))
        assert "would wait for ever" in refused[0]
        assert {thread.name for thread in threading.enumerate()}.isdisjoint({"no", "suicidal"})
