"""The race detector: what puts two accesses in order, what is reported, and that nobody else notices it."""

import _thread
import threading
import time
from collections.abc import Callable
from types import MemberDescriptorType

import pytest

from kwlab import (
    DEFINE_KTHREAD_WORK,
    READ_ONCE,
    TASK_INTERRUPTIBLE,
    TASK_RUNNING,
    WRITE_ONCE,
    KthreadWork,
    KthreadWorker,
    ListHead,
    Struct,
    Task,
    complete,
    completion_done,
    current,
    init_completion,
    kthread_create,
    kthread_destroy_worker,
    kthread_queue_work,
    kthread_run,
    kthread_run_worker,
    raw_spin_lock_init,
    schedule,
    set_current_state,
    try_wait_for_completion,
    wait_for_completion,
    wake_up_process,
)
from kwlab.explore import Options, Verdict, check, join, record, replay
from kwlab.explore.depth_first import DepthFirst
from kwlab.explore.engine import Execution, Search, search
from kwlab.explore.random_walk import Random
from kwlab.museum import EXHIBITS, Edit, make_variant


class Box(Struct):
    """A struct as a learner writes it."""

    value: int


class Slotted(Struct):
    __slots__ = ("value",)
    value: int


Body = Callable[[Struct], object]
ENOUGH = 300  # executions: a race shows in whatever order tasks run


def two(first: Body, second: Body, make: type[Struct] = Slotted, executions: int = ENOUGH) -> Verdict:
    """Two tasks, one struct; nothing but what they do themselves puts them in order."""

    def scenario() -> None:
        box = make()
        join(
            kthread_run(lambda _: first(box) and 0, None, "one"), kthread_run(lambda _: second(box) and 0, None, "two")
        )

    return check(scenario, races=True, executions=executions)


def read(box: Struct) -> None:
    box.value  # type: ignore[attr-defined]  # noqa: B018


def write(box: Struct) -> None:
    box.value = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("make", [Box, Slotted])
@pytest.mark.parametrize(("first", "second", "races"), [(read, write, True), (write, write, True), (read, read, False)])
def test_two_accesses_and_at_least_one_a_write(make: type[Struct], first: Body, second: Body, races: bool) -> None:
    verdict = two(first, second, make)
    assert verdict.ok is not races
    assert verdict.bug is None or verdict.bug.kind == "data race"


def test_the_report_names_both_lines_functions_and_locks() -> None:
    def scenario() -> None:
        box, lock = Box(), raw_spin_lock_init("box.lock")

        def careful(_: object) -> None:
            with lock:
                box.value += 1

        def careless(_: object) -> None:
            box.value += 1

        join(kthread_run(careful, None, "one"), kthread_run(careless, None, "two"))

    first = scenario.__code__.co_firstlineno
    verdict = check(scenario, races=True, executions=ENOUGH)
    assert verdict.bug is not None
    assert verdict.bug.sentence == (
        f"Box.value: one writes it in careful(), test_races.py:{first + 5}, holding box.lock; two reads it in "
        f"careless(), test_races.py:{first + 8}, holding no lock; nothing puts the two in order"
    )
    assert verdict.executions == 1, "no interleaving has to go wrong for a race to show"
    options = Options(races=True)
    assert str(replay(scenario, verdict.schedule, options).bug) == str(verdict.bug)
    trace = record(scenario, verdict.schedule, options)
    assert trace.bug is not None
    assert trace.bug.sentence == verdict.bug.sentence


def handing_over(how: str, proper: bool) -> None:
    """main writes and hands over by `how`, a task takes and reads; not `proper`: it reads before it takes."""
    box = Slotted()
    lock, done = raw_spin_lock_init("lock"), init_completion("done")
    bits = current().runtime.bits()
    ready = Slotted()

    def take() -> bool:
        if how == "lock":
            with lock:
                return bool(ready.value)
        if how == "complete, wait":
            wait_for_completion(done)
        elif how == "complete, try_wait":
            return try_wait_for_completion(done)
        elif how == "complete, done":
            return completion_done(done)
        elif how == "bit":
            return bits.test_bit(0)
        elif how == "wake-up":
            set_current_state(TASK_INTERRUPTIBLE)
            schedule()
        return True

    def taker(_: object) -> None:
        if not proper:
            read(box)
        if take():
            read(box)

    task = kthread_run(taker, None, "taker")
    write(box)
    if how == "lock":
        with lock:
            write(ready)
    elif how.startswith("complete"):
        complete(done)
    elif how == "bit":
        bits.set_bit(0)
    elif how == "wake-up":
        while not wake_up_process(task):
            wait_for_completion(init_completion("never"))
    join(task)


@pytest.mark.parametrize("how", ["lock", "complete, wait", "complete, try_wait", "complete, done", "bit", "wake-up"])
def test_what_puts_accesses_in_order(how: str) -> None:
    allow = ["deadlock"]  # a wake-up that comes too early wakes nobody
    assert check(lambda: handing_over(how, proper=True), races=True, allow=allow, executions=ENOUGH).ok
    verdict = check(lambda: handing_over(how, proper=False), races=True, allow=allow, executions=ENOUGH)
    assert verdict.bug is not None
    assert verdict.bug.kind == "data race"


def test_starting_a_thread_and_waiting_for_its_end() -> None:
    def scenario() -> None:
        box = Slotted()
        task = kthread_create(lambda _: write(box), None, "late")
        write(box)
        wake_up_process(task)
        join(task)
        write(box)

    assert check(scenario, races=True, executions=ENOUGH).ok

    def too_early() -> None:
        box = Slotted()
        task = kthread_create(lambda _: write(box), None, "late")
        wake_up_process(task)
        write(box)
        join(task)

    assert not check(too_early, races=True, executions=ENOUGH).ok


def test_waking_a_running_task_hands_over_nothing() -> None:
    def scenario() -> None:
        box = Slotted()

        def sleeper(_: object) -> None:
            schedule()
            read(box)

        task = kthread_run(sleeper, None, "sleeper")
        write(box)
        assert not wake_up_process(task), "it never sleeps"
        join(task)

    verdict = check(scenario, races=True, executions=ENOUGH)
    assert verdict.bug is not None
    assert verdict.bug.kind == "data race"


def test_marked_accesses_race_only_with_unmarked_ones() -> None:
    def mark_read(box: Struct) -> None:
        READ_ONCE(box, "value")

    def mark_write(box: Struct) -> None:
        WRITE_ONCE(box, "value", 2)

    for make in (Box, Slotted):
        assert two(mark_read, mark_write, make).ok
        assert two(mark_write, mark_write, make).ok
        assert two(mark_read, read, make).ok
        assert not two(mark_read, write, make).ok
        assert not two(mark_write, read, make).ok
        assert not two(write, mark_write, make).ok
        assert not two(read, mark_write, make).ok


def test_in_whatever_order_the_two_come() -> None:
    """One execution each, in which every task goes on as long as it can: `first` comes before `second`."""
    for first, second in (
        (lambda box: READ_ONCE(box, "value"), write),
        (write, lambda box: READ_ONCE(box, "value")),
        (lambda box: WRITE_ONCE(box, "value", 2), read),
        (read, lambda box: WRITE_ONCE(box, "value", 2)),
        (lambda box: WRITE_ONCE(box, "value", 2), write),
    ):
        verdict = two(first, second, executions=1)
        assert verdict.bug is not None
        assert verdict.bug.kind == "data race"


def test_what_hands_over_nothing_in_one_execution() -> None:
    def woken_while_running() -> None:
        box = Slotted()

        def other(_: object) -> None:
            schedule()
            read(box)

        task = kthread_run(other, None, "other")
        write(box)
        wake_up_process(task)
        join(task)

    def taken_in_vain() -> None:
        box, done = Slotted(), init_completion("done")

        def giver(_: object) -> None:
            write(box)
            complete(done)
            try_wait_for_completion(done)

        def late(_: object) -> None:
            try_wait_for_completion(done)
            read(box)

        join(kthread_run(giver, None, "giver"), kthread_run(late, None, "late"))

    for scenario, reader in ((woken_while_running, "other"), (taken_in_vain, "late")):
        verdict = check(scenario, races=True, executions=1)
        assert verdict.bug is not None
        assert f"{reader} reads it" in verdict.bug.sentence


def test_a_racy_field_is_left_alone() -> None:
    class Racy(Box):
        DATA_RACY = frozenset({"value"})

    class RacySlot(Struct):
        __slots__ = ("value",)
        DATA_RACY = frozenset({"value"})
        value: int

    assert two(read, write, Racy).ok
    assert two(read, write, RacySlot).ok


def test_what_is_embedded_is_an_address() -> None:
    class Device(Struct):
        work: KthreadWork

    def scenario() -> None:
        device = Device()
        lock = raw_spin_lock_init("device.lock")

        def body(_: object) -> None:
            with lock:
                device.work.canceling += 1

        join(kthread_run(body, None, "one"), kthread_run(body, None, "two"))

    assert check(scenario, races=True, executions=ENOUGH).ok


class Derived(Slotted):
    __slots__ = ("more",)
    more: int


class Entry(ListHead):
    """More than a list head."""

    __slots__ = ("value",)
    value: int

    def __init__(self) -> None:
        super().__init__()
        self.value = 0


class Attributes(Slotted):
    """A slot, inherited, and a dictionary."""

    other: int


class OwnConstructor(Struct):
    """Does not call that of `Struct`."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self._container = None
        self.value = 0


def setting(field: str) -> Body:
    return lambda box: setattr(box, field, 1)


@pytest.mark.parametrize(
    ("make", "first", "second"),
    [(Derived, "value", "more"), (Entry, "next", "value"), (Entry, "prev", "value"), (Attributes, "value", "other")],
)
def test_every_field_is_one_of_its_own(make: type[Struct], first: str, second: str) -> None:
    assert two(setting(first), setting(second), make).ok
    for field in (first, second):
        verdict = two(setting(field), setting(field), make)
        assert verdict.bug is not None
        assert verdict.bug.kind == "data race"


def test_the_two_links_of_a_list_head_are_one_field() -> None:
    for make in (ListHead, Entry):
        verdict = two(setting("next"), setting("prev"), make)
        assert verdict.bug is not None
        assert verdict.bug.sentence.startswith(f"{make.__name__}: one writes it")


def test_a_struct_needs_not_call_the_constructor_of_its_base() -> None:
    assert two(read, read, OwnConstructor).ok
    assert not two(read, write, OwnConstructor).ok


@pytest.mark.parametrize("make", [Box, Slotted, OwnConstructor])
def test_a_struct_that_outlives_executions_brings_nothing_along(make: type[Struct]) -> None:
    box = make()

    def in_turn() -> None:
        task = kthread_create(lambda _: write(box), None, "late")
        write(box)
        wake_up_process(task)
        join(task)
        read(box)

    def at_once() -> None:
        join(kthread_run(lambda _: write(box), None, "one"), kthread_run(lambda _: write(box), None, "two"))

    for _ in range(2):
        assert check(in_turn, races=True, executions=ENOUGH).ok
        assert not check(at_once, races=True, executions=ENOUGH).ok
    assert box._shadow is None, "nothing is kept of an execution that is over"


def test_a_task_that_follows_all_the_others_is_not_asked_again_until_another_comes() -> None:
    def scenario() -> None:
        box, lock, done = Slotted(), raw_spin_lock_init("lock"), init_completion("done")

        def second(_: object) -> None:
            wait_for_completion(done)
            read(box)
            write(box)
            with lock:  # hands over what comes before it, and not what comes after
                pass
            write(box)

        def third(_: object) -> None:
            wait_for_completion(done)
            with lock:
                pass
            read(box)

        tasks = kthread_run(second, None, "second"), kthread_run(third, None, "third")
        write(box)
        complete(done)
        complete(done)
        join(*tasks)

    bug = search(scenario, DepthFirst(), Options(races=True), executions=1).bug
    assert bug is not None
    assert "Slotted.value: second writes it in write(), " in bug.sentence
    assert "third reads it in read(), " in bug.sentence


def ends_of(scenario: Callable[[], None], executions: int = 60) -> set[str]:
    """How executions end in which chance chooses who goes on."""
    ends: list[str] = []

    def after(execution: Execution, so_far: Search) -> None:
        ends.append(execution.ending.kind)

    options = Options(races=True)
    search(scenario, Random(seed=1), options, executions=executions, stop_at_bug=False, after=after)
    assert len(ends) == executions
    return set(ends)


ACCESSES: tuple[Body, ...] = (
    read,
    write,
    lambda box: READ_ONCE(box, "value"),
    lambda box: WRITE_ONCE(box, "value", 2),
)


@pytest.mark.parametrize("access", ACCESSES, ids=["read", "write", "READ_ONCE", "WRITE_ONCE"])
@pytest.mark.parametrize("make", [Box, Slotted])
def test_every_execution_shows_the_race_also_where_the_other_comes_in_the_middle(
    make: type[Struct], access: Body
) -> None:
    def scenario() -> None:
        box = make()

        def one(_: object) -> None:
            read(box)
            set_current_state(TASK_RUNNING)  # a step that hands nothing over
            write(box)

        def two(_: object) -> None:
            access(box)
            set_current_state(TASK_RUNNING)
            access(box)

        join(kthread_run(one, None, "one"), kthread_run(two, None, "two"))

    assert ends_of(scenario) == {"data race"}


def test_a_wake_up_orders_nothing_once_the_task_has_taken_its_announcement_back() -> None:
    def scenario() -> None:
        box = Slotted()

        def sleeper(_: object) -> None:
            set_current_state(TASK_INTERRUPTIBLE)
            set_current_state(TASK_RUNNING)
            schedule()  # it does not sleep, whether or not somebody woke it above
            read(box)

        task = kthread_run(sleeper, None, "sleeper")
        write(box)
        wake_up_process(task)
        join(task)

    assert ends_of(scenario, 500) == {"data race"}


def test_every_complete_before_a_wait_counts_not_only_the_last() -> None:
    def scenario() -> None:
        done, boxes = init_completion("done"), (Slotted(), Slotted())

        def body(box: Struct) -> None:
            write(box)
            complete(done)

        for box in boxes:
            kthread_run(lambda box: body(box) and 0, box, "giver")
        for _ in boxes:
            wait_for_completion(done)
        for box in boxes:
            read(box)

    assert ends_of(scenario) == {"done"}


def test_what_was_handed_over_before_a_task_was_born() -> None:
    def scenario() -> None:
        box, lock = Slotted(), raw_spin_lock_init("lock")
        gone, done = init_completion("gone"), init_completion("done")

        def first(_: object) -> None:
            complete(gone)
            with lock:
                pass

        def second(_: object) -> None:
            write(box)
            complete(done)

        kthread_run(first, None, "first")
        wait_for_completion(gone)
        kthread_run(second, None, "second")
        with lock:  # what `first` handed over with it may be older than `second`
            pass
        wait_for_completion(done)
        read(box)

    assert ends_of(scenario) == {"done"}


def test_whoever_wakes_a_new_thread_it_comes_after_who_made_it() -> None:
    def scenario() -> None:
        box = Slotted()
        made: list[Task] = []

        def waker(_: object) -> None:
            if made:  # of a list of Python's nobody hears
                wake_up_process(made[0])

        other = kthread_run(waker, None, "waker")
        write(box)
        task = kthread_create(lambda _: write(box), None, "made")
        task.usage += 1  # it may be gone before it is woken for the second time
        made.append(task)
        set_current_state(TASK_RUNNING)
        wake_up_process(task)
        join(other, task)

    assert ends_of(scenario) == {"done"}


def test_an_execution_that_was_broken_off_leaves_nothing_behind() -> None:
    box = Slotted()

    def broken_off() -> None:
        task = kthread_create(lambda _: write(box), None, "late")
        wake_up_process(task)
        join(task)
        raise KeyboardInterrupt

    assert any("Ctrl-C" in note for note in check(broken_off, races=True).notes)
    assert check(lambda: write(box), races=True).ok


def elsewhere(function: Callable[[], object]) -> None:
    """Call it on a thread of its own and wait for it, for real, also within a scenario."""
    done = _thread.allocate_lock()
    done.acquire()

    def body() -> None:
        try:
            function()
        finally:
            done.release()

    _thread.start_new_thread(body, ())
    assert done.acquire(timeout=60)


@pytest.mark.threads
def test_what_a_live_thread_touches_is_no_access_of_the_task_that_runs_meanwhile() -> None:
    boxes = [Box(), Slotted(), OwnConstructor()]

    def scenario() -> None:
        def body(_: object) -> None:
            for box in boxes:
                elsewhere(lambda box=box: write(box))

        join(kthread_run(body, None, "one"), kthread_run(body, None, "two"))

    assert check(scenario, races=True, executions=5).ok


@pytest.mark.threads
@pytest.mark.parametrize("make", [Box, Slotted])
def test_an_exploration_within_another_takes_nothing_from_it(make: type[Struct]) -> None:
    inner: list[Verdict] = []

    def scenario() -> None:
        box = make()

        def first(_: object) -> None:
            read(box)
            elsewhere(lambda: inner.append(check(careless, races=True, executions=20)))
            write(box)

        join(kthread_run(first, None, "one"), kthread_run(lambda _: read(box), None, "two"))

    bug = search(scenario, DepthFirst(), Options(races=True), executions=1).bug
    assert bug is not None
    assert "Slotted" not in str(bug) or make is Slotted
    assert "two reads it in read(), " in bug.sentence
    assert len(inner) == 2, "the execution with the race is run twice"
    assert inner[0].bug is not None


def careless() -> None:
    box = Slotted()
    join(kthread_run(lambda _: write(box), None, "one"), kthread_run(lambda _: write(box), None, "two"))


@pytest.mark.threads
def test_two_explorations_at_once_each_see_their_own() -> None:
    """Each finds the other's task where it looks first for the one that runs."""
    in_order: list[Verdict] = []
    racing: list[Verdict] = []

    def careful() -> None:
        handing_over("lock", proper=True)

    def explore(scenario: Callable[[], None], verdicts: list[Verdict], other: list[Verdict]) -> None:
        deadline = time.monotonic() + 60
        while len(verdicts) < 15 or (len(other) < 15 and time.monotonic() < deadline):
            verdicts.append(check(scenario, races=True, executions=20))

    threads = [
        threading.Thread(target=explore, args=(careful, in_order, racing)),
        threading.Thread(target=explore, args=(careless, racing, in_order)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(in_order) >= 15
    assert len(racing) >= 15
    assert all(verdict.ok for verdict in in_order)
    assert {str(verdict.bug) for verdict in racing} == {str(racing[0].bug)}
    assert racing[0].bug is not None


def test_a_class_made_while_exploring_is_observed_and_let_go() -> None:
    made: list[type] = []

    def scenario() -> None:
        class Inner(Struct):
            __slots__ = ("value",)
            value: int

        made.append(Inner)
        box = Inner()
        join(kthread_run(lambda _: write(box), None, "one"), kthread_run(lambda _: write(box), None, "two"))

    verdict = check(scenario, races=True, executions=ENOUGH)
    assert verdict.bug is not None
    assert "Inner.value" in verdict.bug.sentence
    assert isinstance(vars(made[0])["value"], MemberDescriptorType)


def test_the_classes_are_as_they_were_afterwards() -> None:
    def snapshot() -> list[dict[str, object]]:
        classes = (Struct, ListHead, KthreadWork, KthreadWorker, Box, Slotted)
        return [{name: value for name, value in vars(cls).items() if not name.startswith("_plain_")} for cls in classes]

    two(read, write)  # the first time, structs keep their members' types
    before = snapshot()
    two(read, write)
    assert snapshot() == before
    assert any("Ctrl-C" in note for note in check(interrupted, races=True).notes)
    assert snapshot() == before


def interrupted() -> None:
    raise KeyboardInterrupt


UNLOCKED = (
    Edit("        work, lock = None, worker.lock\n        lock.acquire()\n", "        work = None\n"),
    Edit(
        "            worker.current_work = work\n        finally:\n            lock.release()\n",
        "            worker.current_work = work\n        finally:\n            pass\n",
    ),
)


def test_the_unlocked_list_is_found_at_once() -> None:
    def scenario() -> None:
        w = make_variant("unlocked", UNLOCKED)
        worker = w.kthread_run_worker(0, "worker")
        for _ in range(2):
            w.kthread_queue_work(worker, w.DEFINE_KTHREAD_WORK(lambda work: None))
        w.kthread_destroy_worker(worker)

    verdict = check(scenario, races=True, executions=ENOUGH)
    assert verdict.bug is not None
    assert verdict.bug.kind == "data race"
    assert "worker reads it in kthread_worker_fn(), worker.py[unlocked]:" in verdict.bug.sentence
    assert "holding no lock" in verdict.bug.sentence
    assert "holding worker.lock" in verdict.bug.sentence
    assert verdict.executions <= 100


@pytest.mark.parametrize("shown", EXHIBITS, ids=lambda shown: shown.name)
def test_no_false_alarm(shown: object) -> None:
    verdict = check(shown.right, races=True, executions=100)  # type: ignore[attr-defined]
    assert verdict.ok, verdict
    assert verdict.races.startswith(("every one of the", "all interleavings"))


def interleaved() -> None:
    box = Slotted()
    task = kthread_run(lambda _: read(box), None, "one")
    read(box)
    join(task)


def test_the_verdict_tells_the_race_guarantee_apart() -> None:
    assert check(lambda: None).races == "not looked for"
    assert check(interleaved, races=True, strategy=DepthFirst()).races == "all interleavings"
    cut = check(lambda: handing_over("lock", proper=True), races=True, executions=3)
    assert cut.races == "every one of the 3 executions run"


def test_an_allowed_race_is_not_looked_for() -> None:
    def scenario() -> None:
        box = Box()
        join(kthread_run(lambda _: write(box), None, "one"), kthread_run(lambda _: write(box), None, "two"))

    assert check(scenario, races=True, allow=["data race"], executions=ENOUGH).races == "not looked for"


def test_the_thread_baton_sees_the_same_race() -> None:
    def scenario() -> None:
        box = Slotted()
        join(kthread_run(lambda _: write(box), None, "one"), kthread_run(lambda _: read(box), None, "two"))

    greenlet = check(scenario, races=True, executions=ENOUGH)
    assert str(check(scenario, races=True, options=Options(backend="thread")).bug) == str(greenlet.bug)


@pytest.mark.threads
def test_live_workers_on_real_threads_are_left_alone() -> None:
    live = kthread_run_worker(0, "live")
    more, ran = threading.Event(), []

    def body(work: KthreadWork) -> None:
        ran.append(1)
        if not more.is_set():
            kthread_queue_work(live, work)

    kthread_queue_work(live, DEFINE_KTHREAD_WORK(body))

    def scenario() -> None:
        worker = kthread_run_worker(0, "model")
        kthread_queue_work(worker, DEFINE_KTHREAD_WORK(lambda work: None))
        kthread_destroy_worker(worker)

    for _ in range(30):  # observers come and go under the live worker's hands
        before = len(ran)
        verdict = check(scenario, races=True, executions=20)
        assert verdict.ok, verdict
        assert live_wait(lambda before=before: len(ran) > before), "the live worker ran works meanwhile"
    more.set()
    kthread_destroy_worker(live)


def live_wait(condition: Callable[[], bool]) -> bool:
    """Give the live worker the CPU until `condition` holds; False after 20 seconds."""
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0)
    return True
