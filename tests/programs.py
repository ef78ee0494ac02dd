"""Random small concurrent programs, as source text, and all that each of them can do.

A program has a main task and one or two more, which share two fields, two locks, two completions, a word of bits, a
timer, and each other's states. `Program.source` is what a failing test prints: it can be run as it stands.
"""

import linecache
import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from types import CodeType
from typing import Any

from kwlab.explore.engine import Execution, Options, Search, search
from kwlab.explore.fields import NOBODY, OWNER, observed_fields
from kwlab.explore.races import RaceDetector
from kwlab.explore.strategy import Strategy
from kwlab.explore.vector_clock import Clock, Stamp
from kwlab.runtime.model import ModelRuntime

__all__ = ["Program", "outcomes_of", "races_of", "racy_program", "random_program", "settling_program", "smallest"]
__all__ += ["storing_program", "waking_program"]

HEAD = """\
from kwlab import *
from kwlab.explore.quiet import settle
from kwlab.sched import __set_current_state
from kwlab.timer import *


class Shared(Struct):
    x: int
    y: int
    under_a: int
    under_b: int
    plain: int


def pair(shared):
    yield READ_ONCE(shared, "x")
    yield READ_ONCE(shared, "y")


def nothing():
    pass


def bump(field):
    WRITE_ONCE(everything, field, READ_ONCE(everything, field) + 1)


def scenario():
    global everything
    runtime = current().runtime
    everything = shared = Shared()
    logs = [[] for _ in range({tasks})]
    a, b = raw_spin_lock_init("a"), raw_spin_lock_init("b")
    c, d = init_completion("c"), init_completion("d")
    bits = runtime.bits()
    timer = TimerList()
    timer_setup(timer, lambda timer: WRITE_ONCE(shared, "x", 9))
    tasks = [current()]

    def expired(now):
        WRITE_ONCE(shared, "x", now)
        runtime.program_timer(None, expired)

    report((shared, logs))
"""

# What tasks do, by subject: a program sticks to one, so that its tasks meet. {n} is the number of the task, {o} of any
# task, {f} a field, {l} a lock, {c} a completion, {b} a bit, {v} a small number.
FIELDS = (
    'logs[{n}].append(READ_ONCE(shared, "{f}"))',
    'WRITE_ONCE(shared, "{f}", {v})',
    'bump("{f}")',
)
SUBJECTS = {
    "fields": (
        *FIELDS,
        'WRITE_ONCE(shared, "{f}", READ_ONCE(shared, "{f}") + 1)',
        'logs[{n}].append(READ_ONCE(shared, "x") * 10 + READ_ONCE(shared, "y"))',
        'logs[{n}].append([READ_ONCE(shared, "{f}"), bits.test_bit({b})])',
        'assert READ_ONCE(shared, "x") <= READ_ONCE(shared, "y") + 1',
    ),
    "loops": (
        'for _ in (0, 0):\n    bump("{f}")',
        'for _ in (0, 0, 0):\n    WRITE_ONCE(shared, "{f}", {v})',
        'for _ in (0, 0, 0):\n    logs[{n}].append(READ_ONCE(shared, "{f}"))',
        'for _ in (0, 0):\n    WRITE_ONCE(shared, "{f}", READ_ONCE(shared, "{f}") * 2 + 1)',
        "for _ in (0, 0):\n    with {l}:\n        shared.under_{l} += {v}",
        "for value in pair(shared):\n    logs[{n}].append(value)",
        'logs[{n}].append(sum(READ_ONCE(shared, "{f}") for _ in (0, 0)))',
        'logs[{n}].append(sorted((2, 1), key=lambda value: value * READ_ONCE(shared, "{f}")))',
        'logs[{n}] += [READ_ONCE(shared, "{f}") for _ in (0, 0)]',
        *FIELDS,
    ),
    "locks": (
        "with {l}:\n    shared.under_{l} += 1",
        "with {l}:\n    shared.under_{l} = shared.under_{l} * 2 + 1",
        "with a:\n    with b:\n        shared.under_a += shared.under_b + 1",
        "with b:\n    with a:\n        shared.under_b += shared.under_a + 1",
        'with {l}:\n    shared.under_{l} += 1\n    WRITE_ONCE(shared, "{f}", shared.under_{l})',
        "with {l}:\n    logs[{n}].append(shared.under_{l})\n    complete({c})",
    ),
    "bits": (
        "bits.set_bit({b})",
        "bits.clear_bit({b})",
        "logs[{n}].append(bits.test_bit({b}))",
        "assert not (bits.test_bit(0) and bits.test_bit(1))",
    ),
    "completions": (
        "complete({c})",
        "complete({c})",
        "wait_for_completion({c})",
        "wait_for_completion({c})",
        "complete_all({c})",
        "logs[{n}].append(try_wait_for_completion({c}))",
        "logs[{n}].append(completion_done({c}))",
        "wait_for_completion({c})\ncomplete({c})",
    ),
    "states": (
        "set_current_state(TASK_INTERRUPTIBLE)",
        "__set_current_state(TASK_RUNNING)",
        "schedule()",
        "logs[{n}].append(wake_up_process(tasks[{o}]))",
        "logs[{n}].append(wake_up_process(tasks[{o}]))",
        "logs[{n}].append(tasks[{o}].state)",
        "tasks[{o}].state = TASK_UNINTERRUPTIBLE",
        'set_current_state(TASK_INTERRUPTIBLE)\nif not READ_ONCE(shared, "{f}"):\n    schedule()\n'
        "__set_current_state(TASK_RUNNING)",
        'WRITE_ONCE(shared, "{f}", {v})\nlogs[{n}].append(wake_up_process(tasks[{o}]))',
        "set_current_state(TASK_INTERRUPTIBLE)\nwith {l}:\n    pass\nwait_for_completion({c})",
        "set_current_state(TASK_INTERRUPTIBLE)\ncomplete({c})\nwait_for_completion({c})",
        "complete({c})",
    ),
    "time": (
        "logs[{n}].append(jiffies())",
        "logs[{n}].append(jiffies())",
        "runtime.program_timer({v}, expired)",
        "runtime.program_timer({v} + jiffies(), expired)",
        "runtime.program_timer(None, expired)",
        "runtime.program_timer(None, expired)\nruntime.program_timer({v}, expired)",
    ),
    "timers": (
        "logs[{n}].append(mod_timer(timer, {v}))",
        "logs[{n}].append(timer_delete(timer))",
        "logs[{n}].append(timer_delete_sync(timer))",
    ),
    "tasks": (
        "tasks.append(runtime.spawn(nothing, 'spawned by {n}'))",
        "logs[{n}].append([task.name for task in runtime.tasks()])",
        "tasks[{o}].usage += 1",
        "tasks[{o}].usage -= 1",
        "logs[{n}].append(wake_up_process(tasks[{o}]))",
    ),
}
# What a kthread does by itself takes many steps, so there is little else in these.
KTHREADS = (
    "kthread = kthread_run(lambda _: 5, None, 'kthread')\nlogs[0].append(kthread_stop(kthread))",
    "kthread = kthread_create(lambda _: 5, None, 'kthread')\nlogs[0].append(kthread_stop(kthread))",
    "kthread = kthread_create(lambda _: kthread_should_park() and kthread_parkme(), None, 'kthread')\n"
    "kthread_park(kthread)\nkthread_unpark(kthread)",
    "kthread = kthread_create(lambda _: 5, None, 'kthread')\nkthread_bind(kthread, 0)\nwake_up_process(kthread)",
    "set_current_state(TASK_INTERRUPTIBLE)\nlogs[0].append(schedule_timeout({v}))",
)

# Accesses that nothing announces, and what may put them in order.
PLAIN = (
    "shared.plain",
    "shared.plain = 1",
    'READ_ONCE(shared, "plain")',
    'WRITE_ONCE(shared, "plain", 1)',
)
ORDERS = (
    "with {l}:\n    shared.under_{l} += 1",
    "with {l}:\n    shared.plain = 1",
    "shared.under_{l} = 1",
    "bits.set_bit({b})",
    "bits.clear_bit({b})",
    "bits.test_bit({b})",
    "complete({c})",
    "complete({c})",
    "complete_all({c})",
    "wait_for_completion({c})",
    "try_wait_for_completion({c})",
    "completion_done({c})",
    "set_current_state(TASK_INTERRUPTIBLE)",
    "schedule()",
    "wake_up_process(tasks[{o}])",
    "wake_up_process(tasks[{o}])",
    "tasks.append(runtime.spawn(lambda: shared.plain, 'spawned by {n}'))",
)

# Stores that may wait in a buffer, looks that may come before they leave it, and barriers.
STORES = (
    'WRITE_ONCE(shared, "x", {v})',
    'WRITE_ONCE(shared, "y", {v})',
    'WRITE_ONCE(shared, "x", {v})\nlogs[{n}].append(READ_ONCE(shared, "y"))',
    'WRITE_ONCE(shared, "y", {v})\nlogs[{n}].append(READ_ONCE(shared, "x"))',
    'tasks[{n}].state = TASK_INTERRUPTIBLE\nlogs[{n}].append(READ_ONCE(shared, "x"))',
    'WRITE_ONCE(shared, "x", {v})\nlogs[{n}].append(wake_up_process(tasks[{o}]))',
    'WRITE_ONCE(shared, "x", {v})\nlogs[{n}].append(tasks[{o}].state)',
    "tasks[{o}].state = TASK_INTERRUPTIBLE",
)
LOOKS = (
    'logs[{n}].append(READ_ONCE(shared, "x"))',
    'logs[{n}].append(READ_ONCE(shared, "y"))',
    "logs[{n}].append(tasks[{o}].state)",
    "logs[{n}].append(bits.test_bit({b}))",
)
BARRIERS = (
    "set_current_state(TASK_INTERRUPTIBLE)",
    "with {l}:\n    shared.under_{l} += 1",
    'with {l}:\n    WRITE_ONCE(shared, "{f}", 3)',
    "bits.set_bit({b})",
    "complete({c})",
    "wait_for_completion({c})",
    "logs[{n}].append(try_wait_for_completion({c}))",
    "schedule()",
    "logs[{n}].append(wake_up_process(tasks[{o}]))",
)

# Announcements, sleeps, and wake-ups: of most of them nobody asks whether they woke somebody.
SLEEPS = (
    "set_current_state(TASK_INTERRUPTIBLE)",
    "set_current_state(TASK_UNINTERRUPTIBLE)",
    "__set_current_state(TASK_RUNNING)",
    "schedule()",
    'set_current_state(TASK_INTERRUPTIBLE)\nif not READ_ONCE(shared, "{f}"):\n    schedule()\n'
    "__set_current_state(TASK_RUNNING)",
    "set_current_state(TASK_INTERRUPTIBLE)\nwith a:\n    shared.under_a = shared.under_a * 2 + 1\n"
    "__set_current_state(TASK_RUNNING)",
    "set_current_state(TASK_INTERRUPTIBLE)\nwait_for_completion({c})",
)
WAKE_UPS = (
    "wake_up_process(tasks[{o}])",
    "wake_up_process(tasks[{o}])",
    "with a:\n    shared.under_a += 1\n    wake_up_process(tasks[{o}])",
    'WRITE_ONCE(shared, "{f}", {v})\nwake_up_process(tasks[{o}])',
    "wake_up_state(tasks[{o}], TASK_INTERRUPTIBLE)",
    "logs[{n}].append(wake_up_process(tasks[{o}]))",
    "tasks[{o}].state = TASK_UNINTERRUPTIBLE",
    "logs[{n}].append(tasks[{o}].state)",
    "complete({c})",
)


@dataclass(frozen=True)
class Program:
    """The statements of each task, the main task's first."""

    bodies: tuple[tuple[str, ...], ...]

    @property
    def source(self) -> str:
        lines = HEAD.format(tasks=len(self.bodies)).splitlines()
        for number, body in enumerate(self.bodies[1:], 1):
            lines += [f"    def body_{number}():", *_indented(body, 8), ""]
        for number in range(1, len(self.bodies)):
            lines.append(f'    tasks.append(runtime.spawn(body_{number}, "task {number}"))')
        lines += [f"    wake_up_process(tasks[{number}])" for number in range(1, len(self.bodies))]
        lines += _indented(self.bodies[0], 4)
        lines.append("    return shared, logs")  # so that they belong to the state even when main has ended
        return "\n".join(lines) + "\n"

    def scenario(self, report: Callable[[Any], object]) -> Callable[[], object]:
        """The program as a function; `report` is given what it works on, at the start."""
        namespace: dict[str, Any] = {"report": report, "__name__": "programs"}
        exec(_compiled(self), namespace)
        scenario: Callable[[], object] = namespace["scenario"]
        return scenario


_numbers = count()


@lru_cache(maxsize=32)
def _compiled(program: Program) -> CodeType:
    """Once for all strategies."""
    file = f"<program {next(_numbers)}>"
    linecache.cache[file] = (len(program.source), None, program.source.splitlines(keepends=True), file)
    return compile(program.source, file, "exec")


def _indented(body: tuple[str, ...], by: int) -> list[str]:
    return [" " * by + line for statement in body or ("pass",) for line in statement.splitlines()]


def random_program(seed: int) -> Program:
    """The same seed gives the same program. It has no data race."""
    draw = random.Random(seed)
    subject = draw.choice([*SUBJECTS, "kthreads", "all"])
    tasks = 2 if subject in ("timers", "kthreads") else draw.choice((2, 2, 3))
    statements = [one for some in SUBJECTS.values() for one in some] if subject == "all" else SUBJECTS.get(subject, ())
    completions, locks = draw.choice(("c", "cd")), draw.choice(("a", "ab"))
    bodies: list[tuple[str, ...]] = []
    for number in range(tasks):
        body: list[str] = []
        for _ in range(draw.randint(1, 3 if tasks == 2 else 2)):
            if subject == "kthreads":
                some: Sequence[str] = FIELDS if number or body else KTHREADS
            else:
                some = FIELDS if draw.random() < 0.15 else statements
            body.append(_filled_in(draw.choice(some), draw, number, tasks, completions, locks))
        bodies.append(tuple(body[:1] if subject in ("kthreads", "timers") else body))
    return Program(tuple(bodies))


def _filled_in(statement: str, draw: random.Random, number: int, tasks: int, completions: str, locks: str) -> str:
    return statement.format(
        n=number,
        o=draw.randrange(tasks),
        f=draw.choice("xy"),
        l=draw.choice(locks),
        c=draw.choice(completions),
        b=draw.randrange(2),
        v=draw.randint(1, 2),
    )


def racy_program(seed: int) -> Program:
    """As `random_program`, of plain accesses, marked ones, and operations between them; most have a data race."""
    draw = random.Random(seed)
    tasks = draw.choice((2, 3))
    completions, locks = draw.choice(("c", "cd")), draw.choice(("a", "ab"))
    orders = draw.sample(ORDERS, 5)  # few, so that the tasks meet
    bodies = []
    for number in range(tasks):
        some = [
            draw.choice(PLAIN if draw.random() < 0.5 else orders)
            for _ in range(draw.randint(1, 3 if tasks == 2 else 2))
        ]
        bodies.append(tuple(_filled_in(one, draw, number, tasks, completions, locks) for one in some))
    return Program(tuple(bodies))


def settling_program(seed: int) -> Program:
    """As `random_program`, and somebody, somewhere, waits until all others sleep."""
    draw = random.Random(seed)
    bodies = [list(body) for body in random_program(seed).bodies]
    for _ in range(draw.choice((1, 1, 2))):
        body = bodies[draw.choice((0, 0, 0, 1))]
        body.insert(draw.randint(0, len(body)), "settle()")
    return Program(tuple(tuple(body) for body in bodies))


def storing_program(seed: int) -> Program:
    """As `random_program`, of stores, looks and barriers: where stores may wait, some can end in more ways."""
    draw = random.Random(seed)
    barriers = draw.sample(BARRIERS, 2)
    completions = draw.choice(("c", "cd"))
    bodies = []
    for number in range(2):
        kinds = draw.choices((STORES, LOOKS, barriers), (4, 1, 1), k=draw.choice((1, 1, 2)))
        some = [draw.choice(kind) for kind in kinds]
        bodies.append(tuple(_filled_in(one, draw, number, 2, completions, "a") for one in some))
    return Program(tuple(bodies))


def waking_program(seed: int) -> Program:
    """As `random_program`, of sleeps and wake-ups."""
    draw = random.Random(seed)
    tasks = draw.choice((2, 2, 3))
    bodies = []
    for number in range(tasks):
        some = [
            draw.choice(SLEEPS if draw.random() < (0.7 if number == 1 else 0.2) else WAKE_UPS)
            for _ in range(draw.randint(1, 3 if tasks == 2 else 2))
        ]
        bodies.append(tuple(_filled_in(one, draw, number, tasks, "c", "a") for one in some))
    return Program(tuple(bodies))


def outcomes_of(
    program: Program,
    strategy: Strategy,
    most: int | None = None,
    backend: str = "greenlet",
    memory: str = "sc",
) -> tuple[frozenset[Hashable], Search]:
    """All ways in which the program can end: its values and logs, or the kind of bug; and the search.

    The search is not `complete` if there are more than `most` executions.
    """
    ends: set[Hashable] = set()
    made: list[Any] = []

    def after(execution: Execution, so_far: Search) -> bool:
        kind = execution.ending.kind
        if kind != "pruned":
            bug = execution.bug
            values: Hashable = None
            if kind in ("done", "stuck"):
                shared, logs = made[-1]
                values = (shared.x, shared.y, shared.under_a, shared.under_b, repr(logs), repr(bug and bug.sentence))
            ends.add((kind, bug and bug.kind, values))
        made.clear()
        return False

    options = Options(backend=backend, memory=memory)
    found = search(program.scenario(made.append), strategy, options, executions=most, stop_at_bug=False, after=after)
    return frozenset(ends), found


Race = tuple[str, frozenset[tuple[str, str]]]  # the field, and who accesses it in which ways


class _EveryAccess(Clock):
    """A clock that compares an access with all before it, not only with the last ones as the detector does."""

    __slots__ = ()
    detector: "EveryRace"

    def __init__(self, detector: RaceDetector, number: int, before: list[int]) -> None:
        super().__init__(detector, number, before)
        self.first = self._first

    def _first(self, cell: list[Any], struct: Any, field: str, how: str) -> None:
        cell[OWNER] = NOBODY  # and it stays so: the clock hears of every access
        self.detector.access(self, field, how)

    def read(self, cell: list[Any], struct: Any, field: str) -> None:
        self.detector.access(self, field, "reads")

    def write(self, cell: list[Any], struct: Any, field: str) -> None:
        self.detector.access(self, field, "writes")

    def marked(self, struct: Any, field: str, how: str) -> None:
        self.detector.access(self, field, f"{how}, marked")


class EveryRace(RaceDetector):
    """Collects all pairs of accesses that race in an execution; it goes on."""

    clock = _EveryAccess

    def __init__(self, runtime: ModelRuntime) -> None:
        super().__init__(runtime)
        self.found: set[Race] = set()
        self._before: dict[str, list[tuple[str, Stamp]]] = {}

    def access(self, clock: Clock, field: str, how: str) -> None:
        names = [task.name for task in self.runtime.all_tasks]
        before = self._before.setdefault(field, [])
        for other, stamp in before:
            written = how.startswith("writes") or other.startswith("writes")
            meant = how.endswith("marked") and other.endswith("marked")
            if written and not meant and not clock.follows(stamp):
                self.found.add((field, frozenset({(names[stamp[0]], other), (names[clock.number], how)})))
        before.append((how, clock.stamp))


class RacyFields(RaceDetector):
    """The detector as it is, but it goes on; it collects the fields."""

    def __init__(self, runtime: ModelRuntime) -> None:
        super().__init__(runtime)
        self.found: set[str] = set()

    def race(self, struct: Any, field: str, *accesses: tuple[Stamp, str]) -> None:
        self.found.add(field)


def races_of(
    program: Program, strategy: Strategy, kind: type[EveryRace] | type[RacyFields] = EveryRace, most: int | None = None
) -> tuple[frozenset[Any], Search]:
    """All that a detector of this `kind` finds in the executions of a search; and the search, as `outcomes_of`."""
    made: list[EveryRace | RacyFields] = []
    seen: set[Any] = set()

    def prepare(runtime: ModelRuntime) -> None:
        made.append(kind(runtime))
        made[-1].attach()

    def after(execution: Execution, so_far: Search) -> bool:
        (detector,) = made
        seen.update(detector.found)
        made.clear()
        return False

    options = Options(prepare=prepare)
    scenario = program.scenario(lambda shared: None)
    with observed_fields():
        found = search(scenario, strategy, options, executions=most, stop_at_bug=False, after=after)
    return frozenset(seen), found


def smallest(program: Program, fails: Callable[[Program], bool]) -> Program:
    """`program` without the statements that it does not need in order to fail."""
    for number, body in enumerate(program.bodies):
        place = 0
        while place < len(body):
            shorter = body[:place] + body[place + 1 :]
            trial = replace(program, bodies=(*program.bodies[:number], shorter, *program.bodies[number + 1 :]))
            if fails(trial):
                program, body = trial, shorter
            else:
                place += 1
    return program
