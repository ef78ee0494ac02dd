"""State merging: what it calls the same state has the same future, and nothing is lost by it."""

import functools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from kwlab import (
    DEFINE_KTHREAD_DELAYED_WORK,
    DEFINE_KTHREAD_WORK,
    TASK_INTERRUPTIBLE,
    KthreadWorker,
    Struct,
    cond_resched,
    current,
    init_completion,
    kfree,
    kthread_cancel_delayed_work_sync,
    kthread_destroy_worker,
    kthread_flush_worker,
    kthread_init_worker,
    kthread_queue_delayed_work,
    kthread_queue_work,
    kthread_run,
    kthread_run_worker,
    kthread_should_stop,
    kthread_stop,
    list_add_tail,
    list_del_init,
    list_empty,
    msleep,
    raw_spin_lock_init,
    schedule,
    set_current_state,
    wait_for_completion,
    wake_up_process,
)
from kwlab.explore import Options, check, join, replay
from kwlab.explore import state as state_module
from kwlab.explore.bounding import IterativeBounding
from kwlab.explore.canonical import Canonical
from kwlab.explore.depth_first import DepthFirst
from kwlab.explore.engine import Execution, search
from kwlab.explore.frames import Suspended, chain
from kwlab.explore.merging import Merging
from kwlab.explore.strategy import Strategy

Body = Callable[[list[Any]], None]


def endings(body: Body, strategy: Strategy) -> tuple[set[str], int]:
    """How `body` can end, with what it wrote into its list or with which bug; and in how many executions."""
    seen: set[str] = set()

    def scenario() -> list[Any]:
        log: list[Any] = []
        body(log)
        return log

    def note(execution: Execution, so_far: object) -> None:
        if execution.bug is not None:
            seen.add(execution.bug.kind)
        elif execution.ending.kind == "done":
            seen.add(repr(execution.runtime.result))

    found = search(scenario, strategy, Options(limit=400), stop_at_bug=False, after=note)
    assert found.complete
    return seen, found.executions


# ------------------------------------------------------------------------------- programs that are easily mixed up


def loop_over_equal_items(log: list[Any]) -> None:
    done = init_completion("done")

    def client(_: object) -> None:
        for _ in (0, 0, 0):
            done.complete()

    task = kthread_run(client, None, "client")
    for _ in (0, 0, 0):
        done.wait()
    join(task)
    log.append("all three")


def two_loops_over_equal_items(log: list[Any]) -> None:
    def client(name: str) -> None:
        lock = raw_spin_lock_init("lock")
        for _ in (0, 0, 0):
            with lock:
                pass
        with lock:
            log.append(name)

    join(kthread_run(client, "a", "a"), kthread_run(client, "b", "b"))


def operations_inside_an_expression(log: list[Any]) -> None:
    lock = raw_spin_lock_init("lock")
    value = [0]

    def read() -> int:
        with lock:
            return value[0]

    def write(_: object) -> None:
        for number in (1, 0):
            with lock:
                value[0] = number

    task = kthread_run(write, None, "writer")
    log.append((read() * 10 + read(), [read(), read()]))
    join(task)


def generators(log: list[Any]) -> None:
    lock = raw_spin_lock_init("lock")
    turns: list[str] = []

    def locked(name: str) -> Iterator[int]:
        for _ in (0, 0):
            with lock:
                turns.append(name)
            yield len(turns)

    def client(name: str) -> None:
        for _ in locked(name):
            pass

    tasks = [kthread_run(client, name, name) for name in "ab"]
    join(*tasks)
    log += turns


def a_suspended_generator(log: list[Any]) -> None:
    done = init_completion("done")

    def count() -> Iterator[int]:
        for _ in ("same", "same", "same"):
            yield 0

    steps = count()

    def client(_: object) -> None:
        done.complete()

    tasks = [kthread_run(client, None, "client %u", number) for number in range(2)]
    rounds = 0
    while next(steps, None) is not None:
        if rounds < 2:
            done.wait()
        rounds += 1
    join(*tasks)
    log.append(rounds)


def one_cell_or_two(log: list[Any]) -> None:
    lock = raw_spin_lock_init("lock")

    def counter() -> tuple[Callable[[], None], Callable[[], int]]:
        count = 0

        def add() -> None:
            nonlocal count
            count += 1

        return add, lambda: count

    first, second = counter(), counter()
    adders = [first[0]]

    def client(which: tuple[Any, Any]) -> None:
        with lock:
            adders[0] = which[0]

    tasks = [kthread_run(client, which, "client %u", number) for number, which in enumerate((first, second))]
    with lock:
        pass
    with lock:
        add = adders[0]
    with lock:
        pass
    add()
    join(*tasks)
    log.append((first[1](), second[1]()))


CHOSEN = [0]


def reads_a_global() -> int:
    return CHOSEN[0]


def globals_of_a_function(log: list[Any]) -> None:
    CHOSEN[0] = 0
    lock = raw_spin_lock_init("lock")

    def client(number: int) -> None:
        with lock:
            CHOSEN[0] = number

    tasks = [kthread_run(client, number, "client %u", number) for number in (1, 2)]
    with lock:
        pass
    with lock:
        pass
    log.append(reads_a_global())
    join(*tasks)


class Remembers:
    last = ""

    def __init__(self) -> None:
        self.own: dict[str, int] = {}


def attributes_of_a_class(log: list[Any]) -> None:
    Remembers.last = ""
    thing = Remembers()
    lock = raw_spin_lock_init("lock")

    def client(name: str) -> None:
        with lock:
            Remembers.last = name
            thing.own[name] = len(thing.own)

    tasks = [kthread_run(client, name, name) for name in "ab"]
    with lock:
        pass
    with lock:
        pass
    log.append((Remembers.last, tuple(thing.own)))
    join(*tasks)


class Slotted(Struct):
    __slots__ = ("number",)
    number: int


def slots_of_a_struct(log: list[Any]) -> None:
    class Local(Struct):
        __slots__ = ("number",)
        number: int

    lock = raw_spin_lock_init("lock")
    structs: tuple[Any, ...] = (Slotted(), Local())

    def client(number: int) -> None:
        with lock:
            structs[number].number += 1

    tasks = [kthread_run(client, number, "client %u", number) for number in (0, 1)]
    with lock:
        pass
    with lock:
        log.append([struct.number for struct in structs])
    join(*tasks)


def containers(log: list[Any]) -> None:
    lock = raw_spin_lock_init("lock")
    queue: deque[Any] = deque([0], 2)
    names: set[str] = set()

    def client(name: str) -> None:
        with lock:
            queue.append(name)
            names.add(name)

    tasks = [kthread_run(functools.partial(client), name, name) for name in "ab"]
    with lock:
        pass
    with lock:
        log.append((tuple(queue), frozenset(names)))
    join(*tasks)


def sorted_with_a_key_that_waits(log: list[Any]) -> None:
    lock = raw_spin_lock_init("lock")
    value = [0]

    def key(number: int) -> int:
        with lock:
            return number * (-1) ** value[0]

    def client(_: object) -> None:
        with lock:
            value[0] = 1

    task = kthread_run(client, None, "client")
    log.append(tuple(sorted((1, 2, 3), key=key)))
    join(task)


def exceptions_on_their_way(log: list[Any]) -> None:
    lock = raw_spin_lock_init("lock")
    value = [0]

    def client(number: int) -> None:
        with lock:
            value[0] = number

    tasks = [kthread_run(client, number, "client %u", number) for number in (1, 2)]
    try:
        with lock:
            raise ValueError(value[0])
    except ValueError as error:
        with lock:
            log.append((error.args, value[0]))
    join(*tasks)


def sleepers(log: list[Any]) -> None:
    def sleep(_: object) -> None:
        rounds = 0
        while not kthread_should_stop():
            set_current_state(TASK_INTERRUPTIBLE)
            if not kthread_should_stop():
                schedule()
            set_current_state(0)
            rounds += 1
        log.append(rounds)

    kthread_stop(kthread_run(sleep, None, "sleeper"))


def two_deaf_sleepers(log: list[Any]) -> None:
    def sleep(_: object) -> None:
        if not kthread_should_stop():
            set_current_state(TASK_INTERRUPTIBLE)
            schedule()

    kthread_stop(kthread_run(sleep, None, "sleeper"))


def a_list_of_arguments(log: list[Any]) -> None:
    # A starred list is freed before the function begins; nothing may look for it on the caller's stack.
    def client(_: object) -> None:
        log.append(current().name)

    join(*[kthread_run(client, None, "client-%d", number) for number in range(2)])


def timers(log: list[Any]) -> None:
    def client(_: object) -> None:
        msleep(2)
        log.append("client")

    task = kthread_run(client, None, "client")
    msleep(1)
    log.append("main")
    join(task)


PROGRAMS = [
    loop_over_equal_items,
    two_loops_over_equal_items,
    operations_inside_an_expression,
    generators,
    a_suspended_generator,
    one_cell_or_two,
    globals_of_a_function,
    attributes_of_a_class,
    slots_of_a_struct,
    containers,
    sorted_with_a_key_that_waits,
    exceptions_on_their_way,
    sleepers,
    two_deaf_sleepers,
    a_list_of_arguments,
]


@pytest.mark.parametrize("body", PROGRAMS, ids=lambda body: body.__name__)
def test_merging_loses_no_ending_and_invents_none(body: Body) -> None:
    # With a bound, so that all can be tried one by one, too.
    one_by_one, executions = endings(body, DepthFirst(2))
    assert one_by_one
    merged, fewer = endings(body, Merging(2))
    assert merged == one_by_one
    assert fewer <= executions
    assert endings(body, Merging())[0] >= one_by_one


def test_what_was_in_a_freed_struct_makes_no_other_state() -> None:
    class Box(Struct):
        value: int

    canonical = Canonical()

    def described(value: int, free: bool) -> bytes:
        box = Box()
        box.value = value
        if free:
            kfree(box)
        canonical.begin()
        canonical.write([box])
        return canonical.digest()

    described(0, free=True)  # from now on the constants are known
    assert described(1, free=True) == described(2, free=True)
    assert len({described(1, free=False), described(2, free=False), described(1, free=True)}) == 3


def test_merging_with_timers() -> None:
    assert endings(timers, Merging())[0] == {"['main', 'client']", "['client', 'main']"}


def test_without_the_stacks_of_frames_states_are_mixed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_variables(innermost: Any) -> list[Suspended]:
        frames = chain(innermost)
        for suspended in frames:
            del suspended.values[suspended.facts.slots :]
        return frames

    everything, _ = endings(two_loops_over_equal_items, Merging())
    assert everything == {"['a', 'b']", "['b', 'a']"}
    monkeypatch.setattr(state_module, "chain", only_variables)
    assert endings(two_loops_over_equal_items, Merging())[0] != everything


@pytest.mark.parametrize("body", PROGRAMS, ids=lambda body: body.__name__)
def test_where_frames_cannot_be_read_nothing_is_merged_and_that_is_said(
    body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_module, "READABLE", False)
    strategy = Merging(1)
    assert endings(body, strategy)[0] == endings(body, DepthFirst(1))[0]
    assert "does not show the stacks" in strategy.opaque[0]


def test_what_cannot_be_looked_into_is_said() -> None:
    outside = threading.Lock()

    def scenario() -> None:
        kept = outside
        lock = raw_spin_lock_init("lock")

        def client(_: object) -> None:
            with lock:
                pass

        join(kthread_run(client, None, "a"), kthread_run(client, None, "b"))
        assert kept is outside

    verdict = check(scenario, bound=1)
    assert verdict.ok
    assert verdict.guarantee == "all interleavings with at most 1 preemption"
    assert verdict.notes == ["some states were not merged: a _thread.lock object cannot be looked into"]

    verdict = check(functools.partial(sorted_with_a_key_that_waits, []), bound=1)
    assert verdict.notes == [
        "some states were not merged: sorted_with_a_key_that_waits() waits for "
        "sorted_with_a_key_that_waits.<locals>.key() inside C code, whose state cannot be read"
    ]


# ---------------------------------------------------------------------------------------------------------- how much


def correct_loop(works: int, clients: int = 0) -> Callable[[], None]:
    """Main, a worker, and clients that share the queueing; then flush and stop."""

    def scenario() -> None:
        worker = kthread_run_worker(0, "worker")
        mine = [DEFINE_KTHREAD_WORK(lambda work: None) for _ in range(works)]

        def queue(first: int) -> None:
            for work in mine[first :: clients + 1]:
                kthread_queue_work(worker, work)

        others = [kthread_run(queue, number, "client %u", number) for number in range(1, clients + 1)]
        queue(0)
        join(*others)
        kthread_flush_worker(worker)
        kthread_destroy_worker(worker)

    return scenario


def effort(works: int, clients: int = 0) -> tuple[int, int]:
    strategy = Merging()
    found = search(correct_loop(works, clients), strategy, Options())
    assert found.complete
    assert found.bug is None
    assert strategy.guarantee() == "all interleavings"
    assert strategy.opaque == []
    return found.executions, strategy.states


def test_a_complete_search_is_small_and_grows_slowly() -> None:
    executions, states = zip(*(effort(works) for works in (2, 4, 8, 16)), strict=True)
    assert executions[3] <= 576
    # Main may have queued any number before the worker wakes up, and each time the worker's next steps can be noticed.
    # No execution comes through two such choices, and at 2n works there are four times as many of them: 2.5 times the
    # executions would not be enough (with the fewest that go through the whole graph, 183 at 8 works become 515 at 16).
    for few, many in pairwise(executions):
        assert many <= 3 * few
    # A state is how far the queueing is and how far the worker is: two dimensions, so four times at most.
    for few, many in pairwise(states):
        assert many <= 4 * few


def test_six_works_and_three_tasks() -> None:
    assert effort(6)[0] <= 159
    assert effort(3, clients=1)[0] <= 800


def test_both_backends_go_the_same_way() -> None:
    results = []
    for backend in ("greenlet", "thread"):
        strategy = Merging()
        found = search(correct_loop(2), strategy, Options(backend=backend))
        results.append((found.executions, found.steps, strategy.states, found.complete))
    assert results[0] == results[1]


def test_a_schedule_gives_the_same_execution_a_thousand_times() -> None:
    schedule = check(two_scenario).schedule
    keys = set()
    for _ in range(1000):
        execution = replay(two_scenario, schedule)
        keys.add((tuple(execution.schedule), str(execution.bug)))
    assert len(keys) == 1


def two_scenario() -> None:
    two_deaf_sleepers([])


# ------------------------------------------------------------------------------------------------ what never ends


def test_a_part_of_the_graph_without_an_end_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def scenario() -> None:
        lock = raw_spin_lock_init("lock")

        def spin(_: object) -> None:
            while True:
                with lock:
                    pass
                cond_resched()

        kthread_run(spin, None, "other")
        spin(None)

    verdict = check(scenario)
    assert verdict.bug is not None
    assert verdict.bug.kind == "endless"

    # Also where no single execution was seen to go round.
    monkeypatch.setattr(Merging, "_again", lambda *arguments: None)
    found = search(scenario, Merging(), Options())
    assert found.bug is not None
    assert found.bug.kind == "endless"
    assert "main and other can go on for ever" in found.bug.sentence


def test_waiting_in_a_loop_for_somebody_who_comes_is_none() -> None:
    def scenario() -> None:
        lock = raw_spin_lock_init("lock")
        ready = []

        def client(_: object) -> None:
            with lock:
                ready.append(True)

        task = kthread_run(client, None, "client")
        while True:
            with lock:
                if ready:
                    break
            cond_resched()
        join(task)

    verdict = check(scenario)
    assert verdict.ok
    assert verdict.guarantee == "all interleavings"


def test_polling_with_msleep_ends_where_nobody_is_kept_waiting_for_ever() -> None:
    def scenario() -> None:
        ready = []
        lock = raw_spin_lock_init("lock")

        def client(_: object) -> None:
            with lock:
                ready.append(True)

        task = kthread_run(client, None, "client")
        while not ready:
            msleep(1)
        join(task)

    verdict = check(scenario, bound=0)
    assert verdict.ok
    assert verdict.guarantee == "all fair interleavings with at most 0 preemptions"


# ------------------------------------------------------------------------------------------------------ bounding


def lost_wake_up() -> None:
    def loop(worker: Any) -> int:
        while not kthread_should_stop():
            with worker.lock:
                empty = list_empty(worker.work_list)
                if not empty:
                    list_del_init(worker.work_list.next)
            if empty:
                # The mistake: a queueing that comes here wakes a task that is running.
                set_current_state(TASK_INTERRUPTIBLE)
                schedule()
            else:
                done.complete()
        return 0

    worker = KthreadWorker()
    kthread_init_worker(worker)
    done = init_completion("done")
    task = kthread_run(loop, worker, "worker")
    work = DEFINE_KTHREAD_WORK(lambda work: None)
    with worker.lock:
        list_add_tail(work.node, worker.work_list)
    wake_up_process(task)
    done.wait()
    kthread_stop(task)


def test_iterative_bounding_finds_the_fewest_preemptions() -> None:
    assert check(lost_wake_up, bound=0).ok
    verdict = check(lost_wake_up, strategy=IterativeBounding())
    assert verdict.bug is not None
    assert verdict.bug.kind == "lost wake-up"
    assert verdict.executions <= 27


def test_the_verdict_says_how_far_the_search_went() -> None:
    small, large = correct_loop(1), correct_loop(3, clients=2)
    assert check(small).guarantee == "all interleavings"
    assert check(small, bound=0).guarantee == "all interleavings with at most 0 preemptions"
    assert check(small, bound=1).guarantee == "all interleavings with at most 1 preemption"
    assert check(small, bound=50).guarantee == "all interleavings"
    assert check(large, executions=300).guarantee == "all interleavings with at most 0 preemptions"
    assert check(large, executions=3).guarantee == "3 interleavings"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"bound": -1}, "0 or more"),
        ({"bound": 1.5}, "0 or more"),
        ({"executions": 0}, "1 or more"),
        ({"seconds": 0}, "above 0"),
        ({"bound": 1, "strategy": Merging()}, "one of the two"),
        ({"allow": ["nonsense"]}, "kinds of bug are"),
    ],
)
def test_a_check_that_cannot_be_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(lambda: None, **wrong)


def test_a_scenario_without_steps_has_one_interleaving() -> None:
    verdict = check(lambda: None)
    assert verdict.ok
    assert verdict.executions == 1
    assert verdict.guarantee == "all interleavings"


def test_delayed_works_are_searched_completely() -> None:
    def scenario() -> None:
        worker = kthread_run_worker(0, "worker")
        dwork = DEFINE_KTHREAD_DELAYED_WORK(lambda work: None)
        kthread_queue_delayed_work(worker, dwork, 1)
        kthread_cancel_delayed_work_sync(dwork)
        kthread_destroy_worker(worker)

    verdict = check(scenario)
    assert verdict.ok
    assert verdict.guarantee == "all interleavings"
    assert verdict.states > 100


def test_what_ended_at_a_bug_is_no_search_of_all_interleavings() -> None:
    verdict = check(lambda: join(kthread_run(lambda _: 1 / 0, None, "fails")))
    assert verdict.bug is not None
    assert verdict.guarantee == f"{verdict.executions:,} interleavings"


def test_options_that_are_given_count_and_stay_as_they_are() -> None:
    given = Options(allow=["deadlock"], limit=500)
    verdict = check(lambda: wait_for_completion(init_completion()), options=given, allow=["exception"], races=True)
    assert verdict.ok
    assert (given.allow, given.limit, given.races) == (["deadlock"], 500, False)
