"""Random small concurrent programs, as source text, and all that each of them can do.

A program has a main task and one or two more, which share two fields, two locks, two completions, a word of bits, a
timer, and each other's states. `Program.source` is what a failing test prints: it can be run as it stands.
"""

import linecache
import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from kwlab.explore.engine import Execution, Options, Search, search
from kwlab.explore.strategy import Strategy

__all__ = ["Program", "outcomes_of", "random_program", "smallest"]

HEAD = """\
from kwlab import *
from kwlab.sched import __set_current_state
from kwlab.timer import *


class Shared(Struct):
    x: int
    y: int
    under_a: int
    under_b: int


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
        file = f"<program {next(_numbers)}>"
        linecache.cache[file] = (len(self.source), None, self.source.splitlines(keepends=True), file)
        namespace: dict[str, Any] = {"report": report, "__name__": "programs"}
        exec(compile(self.source, file, "exec"), namespace)
        scenario: Callable[[], object] = namespace["scenario"]
        return scenario


_numbers = count()


def _indented(body: tuple[str, ...], by: int) -> list[str]:
    return [" " * by + line for statement in body or ("pass",) for line in statement.splitlines()]


def random_program(seed: int) -> Program:
    """The same seed gives the same program."""
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
            body.append(
                draw.choice(some).format(
                    n=number,
                    o=draw.randrange(tasks),
                    f=draw.choice("xy"),
                    l=draw.choice(locks),
                    c=draw.choice(completions),
                    b=draw.randrange(2),
                    v=draw.randint(1, 2),
                )
            )
        bodies.append(tuple(body[:1] if subject in ("kthreads", "timers") else body))
    return Program(tuple(bodies))


def outcomes_of(
    program: Program, strategy: Strategy, most: int | None = None, backend: str = "greenlet"
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

    options = Options(backend=backend)
    found = search(program.scenario(made.append), strategy, options, executions=most, stop_at_bug=False, after=after)
    return frozenset(ends), found


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
