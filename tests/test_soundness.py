"""Every reduction sees all that can happen: on random programs, each gives the outcomes, and the data races, of running
every interleaving.

What would go wrong without a rule is shown too: with one line of the dependency table switched off, outcomes are lost.
"""

from collections.abc import Callable, Hashable
from functools import cache
from types import FrameType
from typing import Any

import pytest
from programs import (
    Program,
    RacyFields,
    outcomes_of,
    races_of,
    racy_program,
    random_program,
    settling_program,
    smallest,
    storing_program,
    waking_program,
)

from kwlab.explore import Options, frames, replay, sleep_sets
from kwlab.explore import dependency as table
from kwlab.explore import dpor as dpor_module
from kwlab.explore import happens_before as order_module
from kwlab.explore import merging_dpor as graph_module
from kwlab.explore.bytecode import facts_of
from kwlab.explore.depth_first import DepthFirst
from kwlab.explore.dpor import Dpor
from kwlab.explore.endless import watching
from kwlab.explore.engine import Search, run_once
from kwlab.explore.fields import observed_fields
from kwlab.explore.happens_before import HappensBefore
from kwlab.explore.merging import Merging
from kwlab.explore.merging_dpor import MergingDpor
from kwlab.explore.replay import Follow
from kwlab.explore.sleep_sets import SleepSets
from kwlab.explore.strategy import NonDeterministicError, Strategy
from kwlab.explore.touched import Touched
from kwlab.explore.trails import Edge, Event
from kwlab.explore.vector_clock import Clock
from kwlab.runtime import model_ops as ops
from kwlab.runtime.model_guard import guarded
from kwlab.runtime.model_objects import ModelTask

MOST = 150  # interleavings of a program: those with more are left out
FEW = 60  # where each is run many times
ENOUGH = 1000  # programs

REDUCTIONS: dict[str, Callable[[], Strategy]] = {
    "sleep sets": SleepSets,
    "DPOR": Dpor,
    "merging": Merging,
    "merging with DPOR": MergingDpor,
    "bounding": lambda: DepthFirst(bound=60),
    "bounded merging": lambda: Merging(bound=60),
}
REDUCTIONS_UNDER_TSO = {name: make for name, make in REDUCTIONS.items() if make is not MergingDpor}


@cache
def everything(program: Program, most: int = MOST, memory: str = "sc") -> tuple[frozenset[Hashable], Search]:
    """The outcomes of all interleavings, one by one."""
    return outcomes_of(program, DepthFirst(), most, memory=memory)


def loses(make: Callable[[], Strategy], most: int = MOST, memory: str = "sc") -> Callable[[Program], bool]:
    """A test for programs: has the reduction other outcomes?"""

    def differ(program: Program) -> bool:
        expected, every = everything(program, most, memory)
        if not every.complete:
            return False
        seen, reduced = outcomes_of(program, make(), 20 * most, memory=memory)
        return reduced.complete and seen != expected

    return differ


def compare(program: Program, most: int = MOST, memory: str = "sc") -> bool:
    """Fail if a reduction differs; False if the program has too many interleavings to compare with."""
    expected, every = everything(program, most, memory)
    if not every.complete:
        return False
    for name, make in (REDUCTIONS if memory == "sc" else REDUCTIONS_UNDER_TSO).items():
        seen, reduced = outcomes_of(program, make(), memory=memory)
        assert reduced.complete
        if seen != expected:
            shown = smallest(program, loses(make, most, memory))
            seen, expected = outcomes_of(shown, make(), memory=memory)[0], everything(shown, most, memory)[0]
            pytest.fail(
                f"{name} differs from all interleavings on\n\n{shown.source}\n"
                f"it misses {sorted(map(str, expected - seen))}\nand invents {sorted(map(str, seen - expected))}"
            )
    return True


def test_reductions_lose_nothing_on_some_programs() -> None:
    with watching():
        assert sum(compare(random_program(seed)) for seed in range(100)) >= 30


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_reductions_lose_nothing_on_a_thousand_programs() -> None:
    compared, seed = 0, 100
    with watching():
        while compared < ENOUGH:
            compared += compare(random_program(seed))
            seed += 1
            everything.cache_clear()


# ------------------------------------------------------------------------------------------------------- and no race


def hides(make: Callable[[], Strategy]) -> Callable[[Program], bool]:
    """A test for programs: does the reduction find other races?"""

    def differ(program: Program) -> bool:
        expected, every = races_of(program, DepthFirst(), most=FEW)
        seen, reduced = races_of(program, make(), most=20 * FEW)
        return every.complete and reduced.complete and seen != expected

    return differ


def compare_races(program: Program) -> bool | None:
    """Fail if a reduction finds other races than all interleavings show; None if there are too many to run them all,
    else whether there is a race."""
    expected, every = races_of(program, DepthFirst(), most=FEW)
    if not every.complete:
        return None
    for name, make in (("sleep sets", SleepSets), ("DPOR", Dpor)):
        seen, reduced = races_of(program, make())
        assert reduced.complete
        if seen != expected:
            shown = smallest(program, hides(make))
            lost = races_of(shown, DepthFirst())[0] ^ races_of(shown, make())[0]
            pytest.fail(f"{name} and all interleavings differ in {sorted(map(str, lost))} on\n\n{shown.source}")
    # The detector keeps the last accesses only. That is enough to know of every field that has a race.
    assert races_of(program, Dpor(), RacyFields)[0] == {field for field, _ in expected}
    # Merging drops who knows what of whom, and promises no more than the executions that it runs.
    assert races_of(program, Merging())[0] <= expected
    return bool(expected)


def test_reductions_hide_no_race_on_some_programs() -> None:
    with watching(), observed_fields():  # once for all: it looks at every class there is
        found = [compare_races(racy_program(seed)) for seed in range(60)]
    assert found.count(True) >= 10
    assert found.count(False) >= 10


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_reductions_hide_no_race_on_a_thousand_programs() -> None:
    compared, seed = 0, 60
    with watching(), observed_fields():
        while compared < ENOUGH:
            compared += compare_races(racy_program(seed)) is not None
            seed += 1


BITS_OF_ONE_WORD = Program((("shared.plain = 1", "bits.set_bit(0)"), ("bits.test_bit(1)", "shared.plain")))
COMPLETES = Program((("shared.plain = 1", "complete(c)"), ("complete(c)", "shared.plain")))


# All bits of a word taken for one; and a `complete` that takes over from those before it.
WHOLE_WORDS = {
    "tested": lambda clock, bits, bit, plain=Clock.tested: plain(clock, bits, 0),
    "changed": lambda clock, bits, bit, plain=Clock.changed: plain(clock, bits, 0),
}
COMPLETES_IN_ORDER = {
    "completed": lambda clock, done, plain=Clock.completed: [done.handed and clock.took(done), plain(clock, done)]
}


@pytest.mark.parametrize(
    ("program", "wrong"), [(BITS_OF_ONE_WORD, WHOLE_WORDS), (COMPLETES, COMPLETES_IN_ORDER)], ids=["bits", "completes"]
)
def test_a_detector_that_sees_more_order_than_dpor_hides_races(
    program: Program, wrong: dict[str, Callable[..., object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    differ = hides(Dpor)
    assert not differ(program)
    assert races_of(program, Dpor())[0]
    for name, rule in wrong.items():
        monkeypatch.setattr(Clock, name, rule)
    assert differ(program)


def test_programs_end_in_many_ways() -> None:
    kinds = {kind for seed in range(60) for _, kind, _ in everything(random_program(seed))[0]}  # type: ignore[misc]
    assert {None, "assertion", "deadlock", "use after free"} <= kinds


def test_reductions_lose_nothing_where_somebody_settles() -> None:
    programs = (SETTLED, SETTLED_WITH_A_TIMER, TWO_SETTLE, SETTLED_IN_A_DEADLOCK, TIMER_SET_BACK, SPAWNED)
    assert all(compare(program, 200) for program in programs)
    with watching():
        assert sum(compare(settling_program(seed)) for seed in range(60)) >= 20


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_reductions_lose_nothing_on_a_thousand_programs_that_settle() -> None:
    compared, seed = 0, 60
    with watching():
        while compared < ENOUGH:
            compared += compare(settling_program(seed))
            seed += 1
            everything.cache_clear()


# ------------------------------------------------------------------------------------------ a rule less loses outcomes


def without(*operations: int) -> Callable[[ModelTask], table.Accesses]:
    """The table with these operations colliding with nothing."""
    return lambda task: () if task.op in operations else table.accesses_of(task)


def only_as(mode: int, *operations: int) -> Callable[[ModelTask], table.Accesses]:
    """The table with these operations reading, or adding, whatever they do."""

    def accesses(task: ModelTask) -> table.Accesses:
        touched = table.accesses_of(task)
        if task.op not in operations or touched is None:
            return touched
        return tuple((key, mode) for key, _ in touched)

    return accesses


def only_first(operation: int) -> Callable[[ModelTask], table.Accesses]:
    """The table with this operation touching one thing only."""

    def accesses(task: ModelTask) -> table.Accesses:
        touched = table.accesses_of(task)
        return touched[:1] if task.op == operation and touched is not None else touched

    return accesses


def without_aside(operation: int) -> Callable[[int, object], tuple[int, int]]:
    """What a step does besides its operation, but for this."""
    nothing = (-1, table.READ)
    return lambda op, target: nothing if op == operation else table.aside_accesses(op, target)


# Programs that need one rule: the main task's statements first.
STATE_AFTER_A_WAIT = Program(
    (
        ("wait_for_completion(c)",),
        ("tasks[0].state = TASK_INTERRUPTIBLE", "complete(c)", "logs[1].append(tasks[0].state)"),
    )
)
A_BIT = Program((("bits.set_bit(0)",), ("logs[1].append(bits.test_bit(0))",)))
A_WAKE_UP = Program(
    (
        ("set_current_state(TASK_INTERRUPTIBLE)", "logs[0].append(tasks[0].state)"),
        ("logs[1].append(wake_up_process(tasks[0]))",),
    )
)
A_REFERENCE = Program(
    (
        ("tasks[1].usage += 1", "complete(c)", "tasks[1].usage -= 1"),
        (),
        ("logs[2].append(tasks[1].state)", "logs[2].append(wake_up_process(tasks[1]))"),
    )
)
FIRST_COMPLETE_ALL = Program(
    (
        ("wait_for_completion(c)", 'logs[0].append(READ_ONCE(shared, "x"))'),
        ('WRITE_ONCE(shared, "x", 1)', "complete_all(c)"),
        ("complete_all(c)",),
    )
)
TAKEN_AND_GIVEN_BACK = Program(
    (
        ("wait_for_completion(c)",),
        ("complete(c)",),
        ("wait_for_completion(c)", "complete(c)", "wait_for_completion(d)"),
    )
)
TWO_COMPLETES = Program(
    (
        ("wait_for_completion(c)", 'logs[0].append(READ_ONCE(shared, "x"))'),
        ('WRITE_ONCE(shared, "x", 1)', "complete(c)"),
        ("complete(c)",),
    )
)

LOGGED = Program(
    (
        ("wait_for_completion(c)", "wait_for_completion(c)", "logs[0].append(dmesg_lines())"),
        ("pr_info('one')", "complete(c)"),
        ("pr_info('two')", "complete(c)"),
    )
)
# Who waits until all others sleep waits for no device: one may act before or behind.
SETTLED = Program(
    (
        ("settle()", 'logs[0].append(READ_ONCE(shared, "x"))'),
        ('WRITE_ONCE(shared, "x", 1)', "logs[1].append(bits.test_bit(0))"),
        ("bits.set_bit(0)",),
    )
)
SETTLED_WITH_A_TIMER = Program(
    (
        ("runtime.program_timer(1, expired)", "settle()", 'logs[0].append(READ_ONCE(shared, "x"))'),
        ("logs[1].append(jiffies())",),
    )
)
TWO_SETTLE = Program(
    (
        ("settle()", 'logs[0].append(READ_ONCE(shared, "x"))'),
        ("settle()", 'WRITE_ONCE(shared, "x", 1)'),
        ("bits.set_bit(0)",),
    )
)

A_FAILURE = Program((('assert READ_ONCE(shared, "x")',), ('WRITE_ONCE(shared, "x", 1)',)))
# Tasks that have not run yet are told apart by what they would run, and by name.
SPAWNED = Program(
    (
        ("logs[0].append([task.name for task in runtime.tasks()])",),
        ("tasks.append(runtime.spawn(nothing, 'spawned by 1'))", "settle()"),
        ("tasks.append(runtime.spawn(nothing, 'spawned by 2'))",),
    )
)
EQUAL_ITEMS = Program(
    (
        ("for _ in (0, 0):\n    bits.set_bit(0)",),
        ("bits.clear_bit(0)", "logs[1].append(bits.test_bit(0))"),
    )
)


# A deadlock goes on for ever, and who waits until all others sleep goes on.
SETTLED_IN_A_DEADLOCK = Program(
    (
        ("with b:\n    with a:\n        shared.under_b += shared.under_a + 1",),
        ("settle()",),
        ("with a:\n    with b:\n        shared.under_a += shared.under_b + 1",),
    )
)
# The timer could have come between the two, which nothing but the end of an execution shows: it never can come then.
TIMER_SET_BACK = Program(
    (
        ("logs[0].append(jiffies())",),
        ("runtime.program_timer(1, expired)", "runtime.program_timer(None, expired)"),
    )
)


def of(*seeds: int) -> tuple[Program, ...]:
    return tuple(random_program(seed) for seed in seeds)


def everything_before(self: HappensBefore, past: int, candidates: int, race: object) -> int:
    return past | candidates


RULES: dict[str, tuple[str, object, tuple[Program, ...]]] = {
    "an exit is an operation": ("accesses", without(ops.EXIT), of(3, 17, 56, 81)),
    "a wake-up of a sleeper writes": ("accesses", only_as(table.READ, ops.WAKE), (A_WAKE_UP,)),
    "setting a bit writes": ("accesses", only_as(table.READ, ops.SET_BIT), (A_BIT,)),
    "a look at the clock": ("accesses", without(ops.CLOCK), of(398, 509, 527)),
    "setting the timer": ("accesses", only_as(table.READ, ops.PROGRAM), of(398)),
    "time comes with the timer": ("accesses", only_first(ops.DEVICE), of(398, 509, 527)),
    "a try_wait that takes": ("accesses", only_as(table.READ, ops.TEST_COMPLETION), of(217)),
    "a wait ends in TASK_RUNNING": ("accesses", only_first(ops.WAIT), (STATE_AFTER_A_WAIT,)),
    "a wake-up looks at references": ("accesses", only_first(ops.WAKE), (A_REFERENCE,)),
    "references": ("asides", without_aside(ops.HOLD), (A_REFERENCE,)),
    "the kernel log": ("asides", without_aside(ops.WRITE), (LOGGED,)),
    "making a task": ("asides", without_aside(ops.SPAWN), of(333, 346, 554)),
    "complete_all": ("accesses", only_as(table.ADD, ops.COMPLETE), (FIRST_COMPLETE_ALL,)),
    "a device acts while all tasks sleep": ("devices", everything_before, (SETTLED_WITH_A_TIMER,)),
    "one complete of two can be missed": (
        "exchangeable",
        lambda op, detail, later, more: op != ops.COMPLETE and table.exchangeable(op, detail, later, more),
        (TWO_COMPLETES,),
    ),
    "what a wait finds taken and given back": ("look through", -1, of(685)),
    "what was announced at the end": ("pending", None, of(172, 184, 230)),
    "a failure ends what all could do": ("failure", (), (A_FAILURE,)),
    "who sleeps wakes up for what collides": ("independent", lambda one, other: True, of(3, 17, 56)),
}


def switch_off(monkeypatch: pytest.MonkeyPatch, what: str, replacement: object) -> None:
    for module, name in {
        "accesses": ((dpor_module, "accesses_of"), (sleep_sets, "accesses_of")),
        "asides": ((sleep_sets, "aside_accesses"),),
        "exchangeable": ((order_module, "exchangeable"),),
        "look through": ((order_module, "DEVICE"),),
        "failure": ((sleep_sets, "EVERYTHING"),),
        "independent": ((sleep_sets, "independent"),),
        "running": ((dpor_module, "TASK_RUNNING"),),
    }.get(what, ()):
        monkeypatch.setattr(module, name, replacement)
    if what == "devices":
        monkeypatch.setattr(HappensBefore, "_races_with_devices", replacement)
    if what == "pending":
        monkeypatch.setattr(Dpor, "_finish", lambda self, ending: None)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_less_loses_outcomes(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    what, replacement, programs = RULES[rule]
    differ = loses(Dpor, 6000)
    programs = tuple(program for program in programs if everything(program, 6000)[1].complete)
    assert not any(differ(program) for program in programs)
    switch_off(monkeypatch, what, replacement)
    assert any(differ(program) for program in programs), f"nothing notices that this rule is gone: {rule}"


def unlocks_that_hide(event: Event) -> Event:
    return event._replace(touched=event.touched._replace(writes=event.touched.writes | event.released))


def waits_that_are_hidden(event: Event) -> Event:
    return event._replace(waits=False)


def waits_that_come_last(event: Event) -> Event:
    return event._replace(last=event.waits)


def waking(*seeds: int) -> tuple[Program, ...]:
    return tuple(waking_program(seed) for seed in seeds)


def nobody_is_ready(event: Event) -> Event:
    return event._replace(touched=event.touched._replace(ready=0))


def nobody_is_awake(event: Event) -> Event:
    return event._replace(touched=event.touched._replace(awake=0))


def looks_do_not_count(touched: Touched) -> int:
    return touched.writes | touched.ready


def going_on_does_not_count(touched: Touched) -> int:
    return touched.writes | touched.reads


# By name: what is done to each step, or another value for a name of the module or of the class; programs that notice.
GRAPH_RULES: dict[str, tuple[str, Any, tuple[Program, ...]]] = {
    "an unlock hides no race of two locks": ("step", unlocks_that_hide, of(22, 82, 292)),
    "what a wait finds taken and given back": ("step", waits_that_are_hidden, (TAKEN_AND_GIVEN_BACK,)),
    "only who waits for all others comes last": ("step", waits_that_come_last, (SETTLED_WITH_A_TIMER,)),
    "what was announced at the end": ("Edge", lambda to, events, pending: Edge(to, events, []), of(184, 230)),
    "a failure ends what all could do": ("EVERYTHING", (), of(17, 36, 141)),
    "what a step does besides its operation": ("aside_accesses", lambda op, target: (-1, table.READ), of(163, 333)),
    "the table": ("accesses_of", without(ops.EXIT), of(3, 17, 56, 81)),
    "some ask whether they woke somebody": ("result_is_dropped", lambda frames: True, waking(184, 308, 334)),
    "an announcement counts once it is noticed": ("leaves_another", lambda self, other: 0, waking(14, 145, 174)),
    "it is noticed by a look at it": ("looks", property(looks_do_not_count), waking(145)),
    "it is noticed by who goes on": ("looks", property(going_on_does_not_count), waking(14, 174, 212)),
    "who goes on owes it to a wake-up": ("step", nobody_is_ready, waking(14, 80, 91)),
    "a wake-up may come too early": ("step", nobody_is_awake, waking(8, 44, 72)),
    "how long a state may be noticed": ("outlasts", lambda self, since: False, waking(12, 14, 41)),
}


@pytest.mark.parametrize("rule", GRAPH_RULES)
def test_a_rule_of_dpor_on_the_graph_less_loses_outcomes(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    what, replacement, programs = GRAPH_RULES[rule]
    differ = loses(MergingDpor, 6000)
    assert not any(differ(program) for program in programs)
    if what == "step":
        whole = MergingDpor._complete_event

        def without_the_rule(self: MergingDpor, me: ModelTask) -> None:
            whole(self, me)
            assert self._events is not None
            self._events[-1] = replacement(self._events[-1])

        monkeypatch.setattr(MergingDpor, "_complete_event", without_the_rule)
    else:
        monkeypatch.setattr(graph_module if hasattr(graph_module, what) else Touched, what, replacement)
    assert any(differ(program) for program in programs), f"nothing notices that this rule is gone: {rule}"


def test_who_settles_on_the_graph_waits_for_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    # As it is a device comes last wherever it can, so that this rule is hardly ever needed.
    monkeypatch.setitem(graph_module._ORDER, ops.DEVICE, -1)
    differ = loses(MergingDpor)
    assert not differ(SETTLED_WITH_A_TIMER)
    whole = MergingDpor._complete_event

    def without_devices(self: MergingDpor, me: ModelTask) -> None:
        whole(self, me)
        assert self._events is not None
        self._events[-1] = self._events[-1]._replace(device=False)

    monkeypatch.setattr(MergingDpor, "_complete_event", without_devices)
    assert differ(SETTLED_WITH_A_TIMER)


def test_reductions_lose_nothing_where_tasks_sleep() -> None:
    with watching():
        assert sum(compare(waking_program(seed), MANY) for seed in range(60)) >= 25


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_reductions_lose_nothing_where_tasks_sleep_in_three_hundred_programs() -> None:
    compared, seed = 0, 60
    with watching():
        while compared < 300:
            compared += compare(waking_program(seed), MANY)
            seed += 1
            everything.cache_clear()


# ----------------------------------------------------------------------------------------------- where stores may wait

STORE_BUFFERING = Program(
    (
        ('WRITE_ONCE(shared, "x", 1)', 'logs[0].append(READ_ONCE(shared, "y"))'),
        ('WRITE_ONCE(shared, "y", 1)', 'logs[1].append(READ_ONCE(shared, "x"))'),
    )
)
STORED_STATE = Program(
    (
        ("tasks[1].state = TASK_INTERRUPTIBLE", "logs[0].append(bits.test_bit(0))"),
        ("schedule()", "bits.set_bit(0)"),
    )
)
STORED_BEFORE_AN_UNLOCK = Program(
    (
        ('WRITE_ONCE(shared, "x", 1)\nwith a:\n    pass\nlogs[0].append(READ_ONCE(shared, "y"))',),
        ('WRITE_ONCE(shared, "y", 1)', 'logs[1].append(READ_ONCE(shared, "x"))'),
    )
)
MANY = 1_200  # interleavings of a program


def test_reductions_lose_nothing_where_stores_wait() -> None:
    assert everything(STORE_BUFFERING, MANY, "tso")[0] > everything(STORE_BUFFERING, MANY)[0]
    assert all(compare(program, MANY, "tso") for program in (STORE_BUFFERING, STORED_STATE, STORED_BEFORE_AN_UNLOCK))
    with watching():
        assert sum(compare(storing_program(seed), MANY, "tso") for seed in range(25)) >= 15


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_reductions_lose_nothing_where_stores_wait_in_two_hundred_programs() -> None:
    compared, seed = 0, 25
    with watching():
        while compared < 200:
            compared += compare(storing_program(seed), MANY, "tso")
            seed += 1
            everything.cache_clear()


@pytest.mark.parametrize(
    ("program", "what", "replacement"),
    [
        (STORE_BUFFERING, "asides", without_aside(ops.WRITE)),
        (STORED_STATE, "running", None),
    ],
    ids=["what becomes visible", "a store that puts another to sleep"],
)
def test_a_rule_less_loses_outcomes_where_stores_wait(
    program: Program, what: str, replacement: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    differ = loses(Dpor, MANY, "tso")
    assert not differ(program)
    switch_off(monkeypatch, what, replacement)
    assert differ(program)


def test_merging_needs_the_evaluation_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not loses(Merging)(EQUAL_ITEMS)
    whole = frames.values_of

    def without_stack(frame: FrameType, count: int) -> list[Any]:
        slots = facts_of(frame.f_code).slots
        return [value if place < slots else None for place, value in enumerate(whole(frame, count))]

    monkeypatch.setattr(frames, "values_of", without_stack)
    # Only the stack tells the rounds of such a loop apart: without it two states are taken for one, and then do not
    # go on alike.
    with pytest.raises(NonDeterministicError):
        outcomes_of(EQUAL_ITEMS, Merging())


# ------------------------------------------------------------------------------------------------ one engine, two ways


@pytest.mark.parametrize("make", [DepthFirst, Dpor, SleepSets])
def test_greenlets_and_threads_give_the_same(make: Callable[[], Strategy]) -> None:
    compared = 0
    for seed in range(12):
        program = random_program(seed)
        if everything(program)[1].complete:
            with_greenlets, fast = outcomes_of(program, make())
            with_threads, slow = outcomes_of(program, make(), backend="thread")
            assert with_greenlets == with_threads
            assert (fast.executions, fast.pruned, fast.steps) == (slow.executions, slow.pruned, slow.steps)
            compared += 1
    assert compared >= 3


def test_a_thousand_replays_of_one_schedule_give_one_trace() -> None:
    program = Program((("with a:\n    shared.under_a += 1", 'bump("x")'), ("with a:\n    pass", 'bump("x")')))
    scenario = program.scenario(lambda made: None)
    options = Options()
    traces = set()
    with guarded():
        schedule = run_once(scenario, DepthFirst(), options).schedule
        for _ in range(1000):
            trace: list[tuple[int, int]] = []
            options.observer = lambda task, op, target, result, trace=trace: trace.append((task.id, op))  # type: ignore[misc]
            again = run_once(scenario, Follow(schedule), options)
            traces.add((tuple(again.schedule), tuple(again.runtime.operations), tuple(trace)))
    assert len(traces) == 1
    assert replay(scenario, schedule).schedule == schedule
