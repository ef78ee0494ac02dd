"""Schedules as text, replay, and how a failing schedule is made simple."""

import random
from itertools import groupby

import pytest

from kwlab import (
    DEFINE_KTHREAD_WORK,
    init_completion,
    jiffies,
    kthread_destroy_worker,
    kthread_flush_worker,
    kthread_queue_work,
    kthread_run,
    kthread_run_worker,
    raw_spin_lock_init,
)
from kwlab.explore import Options, Schedule, ScheduleError, check, join, record, replay
from kwlab.explore.depth_first import DepthFirst
from kwlab.explore.engine import Execution, search
from kwlab.explore.minimise import minimise
from kwlab.explore.replay import Follow, signed
from kwlab.museum import EXHIBITS, exhibit


def lost_update() -> None:
    """Two clients count without a lock between the look and the store."""
    lock, count = raw_spin_lock_init("lock"), [0]

    def client(data: object) -> None:
        for _ in range(2):
            with lock:
                seen = count[0]
            with lock:
                count[0] = seen + 1

    tasks = [kthread_run(client, None, "client-%d", number) for number in range(2)]
    join(*tasks)
    assert count == [4], f"counted {count[0]} of 4"


def other_lock() -> None:
    """As `lost_update`, and the lock has another name."""
    lock, count = raw_spin_lock_init("other"), [0]

    def client(data: object) -> None:
        for _ in range(2):
            with lock:
                seen = count[0]
            with lock:
                count[0] = seen + 1

    tasks = [kthread_run(client, None, "client-%d", number) for number in range(2)]
    join(*tasks)
    assert count == [4], f"counted {count[0]} of 4"


def queue_and_flush() -> None:
    worker = kthread_run_worker(0, "demo")
    kthread_queue_work(worker, DEFINE_KTHREAD_WORK(lambda work: None))
    kthread_flush_worker(worker)
    kthread_destroy_worker(worker)


# ---------------------------------------------------------------------------------------------------------- the text


def test_a_schedule_survives_its_text() -> None:
    chance = random.Random(4)
    for _ in range(300):
        tasks = [task for _ in range(chance.randrange(20)) for task in [chance.randrange(12)] * chance.randrange(1, 30)]
        schedule = Schedule(tasks, f"{chance.randrange(1, 1 << 24):06x}")
        again = Schedule.read(str(schedule))
        assert again == tasks
        assert again.fingerprint == schedule.fingerprint


def test_the_text_is_short_and_says_who_goes_how_long() -> None:
    assert str(Schedule([0] * 12 + [1] * 7 + [0], "5f3a9c")).startswith("kw1-0x12.1x7.0-5f3a9c-")
    verdict = check(lost_update)
    assert len(str(verdict.schedule)) < 60


def test_a_text_broken_into_lines_is_read() -> None:
    text = str(Schedule([0] * 12 + [1] * 7, "5f3a9c"))
    assert Schedule.read(f"  {text[:10]}\n   {text[10:]}\n") == [0] * 12 + [1] * 7


def test_every_single_wrong_character_is_noticed() -> None:
    text = str(check(lost_update).schedule)
    for place in range(len(text)):
        for letter in "0f.x-k":
            damaged = text[:place] + letter + text[place + 1 :]
            if damaged != text:
                with pytest.raises(ScheduleError):
                    Schedule.read(damaged)
        with pytest.raises(ScheduleError):
            Schedule.read(text[:place] + text[place + 1 :])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "'' is no schedule: one looks like kw1-"),
        ("tomorrow at eight", "'tomorrowateight' is no schedule"),
        ("kw7-0x3-abcdef-1234", "of the format kw7, and this kwlab reads kw1"),
        ("kw1-0x3-abcdef-0000", "damaged: its checksum is not 0000"),
        ([0, -1], "-1 is none"),
        ([0, "main"], "'main' is none"),
    ],
)
def test_what_is_no_schedule_says_so(given: object, message: str) -> None:
    with pytest.raises(ScheduleError, match=message):
        replay(lost_update, given)  # type: ignore[arg-type]


def test_a_huge_run_is_refused_before_it_fills_the_memory() -> None:
    huge = str(Schedule([0] * 3, "abcdef")).replace("0x3", "0x9999999.0x9999999")
    body = huge.rpartition("-")[0]
    from kwlab.explore.schedule import _checksum

    with pytest.raises(ScheduleError, match="more than 10,000,000 steps"):
        Schedule.read(f"{body}-{_checksum(body)}")


# ------------------------------------------------------------------------------------------------------------ replay


@pytest.mark.parametrize("backend", ["greenlet", "thread"])
def test_the_text_leads_to_the_bug_again(backend: str) -> None:
    verdict = check(lost_update)
    execution = replay(lost_update, str(verdict.schedule), Options(backend=backend))
    assert execution.bug is not None
    assert verdict.bug is not None
    assert str(execution.bug) == str(verdict.bug)


def test_a_schedule_of_another_scenario_is_refused() -> None:
    text = str(check(lost_update).schedule)
    with pytest.raises(ScheduleError, match="does not fit the scenario"):
        replay(queue_and_flush, text)


def test_a_schedule_whose_steps_fit_by_chance_is_refused_too() -> None:
    verdict = check(lost_update)
    assert replay(other_lock, list(verdict.schedule)).bug is not None  # mere task numbers fit
    with pytest.raises(ScheduleError, match="they did other things when it was recorded"):
        replay(other_lock, str(verdict.schedule))
    with pytest.raises(ScheduleError, match="they did other things when it was recorded"):
        record(other_lock, verdict.schedule)


def test_the_fingerprint_does_not_know_the_source() -> None:
    """Written otherwise, the same operations: the schedule still fits."""

    def rewritten() -> None:
        # A comment, and other names.
        the_lock, total = raw_spin_lock_init("lock"), {"is": 0}

        def count_twice(data: object) -> None:
            for _ in "ab":
                with the_lock:
                    before = total["is"]
                the_lock.acquire()  # type: ignore[no-untyped-call,unused-ignore]
                total["is"] = before + 1
                the_lock.release()

        tasks = []
        for number in range(2):
            tasks.append(kthread_run(count_twice, None, "client-%d", number))
        join(*tasks)
        assert total["is"] == 4

    execution = replay(rewritten, str(check(lost_update).schedule))
    assert execution.bug is not None
    assert execution.bug.kind == "assertion"


def test_a_thousand_replays_are_one_trace() -> None:
    text = str(check(lost_update).schedule)
    first = record(lost_update, text)
    for _ in range(1000):
        assert replay(lost_update, text).schedule == list(first.schedule)
    assert all(record(lost_update, text) == first for _ in range(20))


# -------------------------------------------------------------------------------------------------------- minimising


def random_failures(scenario: object, wanted: int, seed: int) -> list[Execution]:
    """Executions that fail, chosen at random."""

    class Dice:
        every_step = False
        states = 0

        def __init__(self) -> None:
            self.chance = random.Random(seed)

        def begin(self, runtime: object) -> None: ...
        def choose(self, enabled: list, me: object) -> object:  # type: ignore[type-arg]
            return self.chance.choice(enabled)

        def end(self, ending: object) -> bool:
            return True

        def guarantee(self) -> str:
            return "random"

    failures: list[Execution] = []

    def after(execution: Execution, so_far: object) -> bool:
        if execution.bug is not None:
            failures.append(execution)
        return len(failures) == wanted

    search(scenario, Dice(), Options(), executions=5000, stop_at_bug=False, after=after)  # type: ignore[arg-type]
    return failures


def preemptions(scenario: object, schedule: list[int]) -> int:
    from kwlab.explore.engine import run_once

    follow = Follow(schedule)
    run_once(scenario, follow, Options())  # type: ignore[arg-type]
    return follow.preemptions


def test_a_random_failure_becomes_one_with_a_single_preemption() -> None:
    failures = random_failures(lost_update, 10, seed=3)
    assert len(failures) == 10
    before = [preemptions(lost_update, failure.schedule) for failure in failures]
    assert sorted(before)[5] > 2
    for failure in failures:
        assert failure.bug is not None
        result = minimise(lost_update, failure.schedule, failure.bug)
        assert result is not None
        assert (result.preemptions, result.proven, result.bug.kind) == (1, True, "assertion")
        assert preemptions(lost_update, result.schedule) == 1
        assert replay(lost_update, str(result.schedule)).bug is not None


def test_without_a_budget_it_says_that_nothing_is_proven() -> None:
    (failure,) = random_failures(lost_update, 1, seed=5)
    assert failure.bug is not None
    result = minimise(lost_update, failure.schedule, failure.bug, budget=1)
    assert result is not None
    assert result.schedule == failure.schedule
    assert not result.proven


def test_a_schedule_without_the_bug_is_not_minimised() -> None:
    bug = check(lost_update).bug
    assert bug is not None
    assert minimise(queue_and_flush, [0], bug) is None


def test_the_same_kind_of_bug_is_kept() -> None:
    """A scenario with a simple bug and a harder one: the harder one is not traded for the simple one."""

    def two_bugs() -> None:
        lock, seen = raw_spin_lock_init("lock"), []

        def client(name: str) -> None:
            with lock:
                seen.append(name)
            with lock:
                seen.append(name)

        tasks = [kthread_run(client, name, "client-%s", name) for name in "ab"]
        join(*tasks)
        if [name for name, _ in groupby(seen)] == ["a", "b", "a", "b"]:
            raise RuntimeError("the hard one")
        assert seen[0] != "b", "the simple one"

    hard = [
        failure for failure in random_failures(two_bugs, 40, seed=1) if failure.bug and failure.bug.kind == "exception"
    ]
    assert hard
    assert hard[0].bug is not None
    result = minimise(two_bugs, hard[0].schedule, hard[0].bug)
    assert result is not None
    assert result.bug.kind == "exception"
    assert result.preemptions == 2


FOUND_DEPTH_FIRST = ("B1", "B2b", "B5", "B8", "B10", "B13", "T1", "T2", "T4", "T5", "T6", "T7", "T8", "T9")


@pytest.mark.parametrize("name", FOUND_DEPTH_FIRST)
def test_exhibits_need_at_most_two_preemptions(name: str) -> None:
    one = exhibit(name)
    verdict = check(one.wrong, strategy=DepthFirst(), executions=3000)
    assert verdict.bug is not None
    assert verdict.bug.kind == one.kind
    assert verdict.preemptions is not None
    assert verdict.preemptions <= 2
    assert verdict.fewest
    # Proven: nothing fails so with one preemption less.
    if verdict.preemptions:
        fewer = search(one.wrong, DepthFirst(verdict.preemptions - 1), Options(), stop_at_bug=False)
        assert fewer.complete
        assert fewer.bug is None or fewer.bug.kind != one.kind


@pytest.mark.parametrize("name", [one.name for one in EXHIBITS if one.name not in (*FOUND_DEPTH_FIRST, "B7")])
def test_so_do_those_that_an_ordinary_check_finds(name: str) -> None:
    verdict = check(exhibit(name).wrong, **exhibit(name).options)
    assert verdict.preemptions is not None
    assert verdict.preemptions <= 2


@pytest.mark.slow
def test_b7_needs_more_and_that_is_proven() -> None:
    """Where three preemptions are all there may be, nothing fails; and a schedule with four does."""
    shown = exhibit("B7")
    found = check(shown.wrong, **shown.options)
    assert found.bug is not None
    assert found.bug.kind == shown.kind
    assert found.preemptions == 4
    fewer = check(shown.wrong, bound=3, executions=20_000, **shown.options)
    assert fewer.ok
    assert fewer.guarantee == "all interleavings with at most 3 preemptions"


def test_every_exhibit_has_a_signed_replay() -> None:
    for one in EXHIBITS:
        taken = record(one.wrong).schedule
        schedule = signed(one.wrong, taken, Options())
        assert replay(one.wrong, str(schedule)).schedule == list(taken)


def test_time_in_a_scenario_is_part_of_the_fingerprint() -> None:
    def looks_at_the_clock() -> None:
        done = init_completion("done")
        assert jiffies() == 0
        done.complete()

    def does_not() -> None:
        done = init_completion("done")
        done.complete()
        assert done.try_wait()

    taken = record(looks_at_the_clock).schedule
    with pytest.raises(ScheduleError):
        replay(does_not, str(signed(looks_at_the_clock, taken, Options())))
