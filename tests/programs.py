"""Random small concurrent programs, as source text, and all that each of them can do.

A program has a main task and one or two more, which share two fields, two locks, two completions, a word of bits, a
timer, and each other's states. `Program.source` is what a failing test prints: it can be run as it stands.
"""

import linecache
import random
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from kwlab.explore.engine import Execution, Options, Search, search
from kwlab.explore.strategy import Strategy

__all__ = ["Program", "outcomes_of", "random_program", "smallest"]

HEAD = '''\
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
    report((shared, logs))
'''

# A task's statements; {n} is its number, {f} a field, {l} a lock, {c} a completion, {o} another task, {b} a bit.
SIMPLE = (
    'logs[{n}].append(READ_ONCE(shared, "{f}"))',
    'WRITE_ONCE(shared, "{f}", {v})',
    "with {l}:\n    shared.under_{l} += 1",
    "with {l}:\n    pass",
    "bits.set_bit({b})",
    "bits.clear_bit({b})",
    "logs[{n}].append(bits.test_bit({b}))",
    "complete({c})",
    "complete_all({c})",
    "wait_for_completion({c})",
    "logs[{n}].append(try_wait_for_completion({c}))",
    "logs[{n}].append(completion_done({c}))",
    "logs[{n}].append(wake_up_process(tasks[{o}]))",
    "set_current_state(TASK_INTERRUPTIBLE)",
    "__set_current_state(TASK_RUNNING)",
    "__set_current_state(TASK_UNINTERRUPTIBLE)",
    "schedule()",
    "logs[{n}].append(tasks[{o}].state)",
    'bump("{f}")',
)
COMPOUND = (
    'WRITE_ONCE(shared, "{f}", READ_ONCE(shared, "{f}") + 1)',
    'logs[{n}].append(READ_ONCE(shared, "x") * 10 + READ_ONCE(shared, "y"))',
    'logs[{n}].append([READ_ONCE(shared, "{f}"), bits.test_bit({b})])',
    'for _ in (0, 0):\n    bump("{f}")',
    'for _ in (0, 0, 0):\n    logs[{n}].append(READ_ONCE(shared, "{f}"))',
    'for _ in (0, 0, 0):\n    WRITE_ONCE(shared, "{f}", READ_ONCE(shared, "{f}") * 2 + 1)',
    "for _ in (0, 0):\n    with {l}:\n        shared.under_{l} += {v}",
    "for value in pair(shared):\n    logs[{n}].append(value)",
    'logs[{n}].append(sum(READ_ONCE(shared, "{f}") for _ in (0, 0)))',
    'logs[{n}].append(sorted((2, 1), key=lambda value: value * READ_ONCE(shared, "{f}")))',
    'with {l}:\n    shared.under_{l} += 1\n    WRITE_ONCE(shared, "{f}", shared.under_{l})',
    "with {l}:\n    logs[{n}].append(shared.under_{l})\n    complete({c})",
    "with a:\n    with b:\n        shared.under_a += shared.under_b + 1",
    "with b:\n    with a:\n        shared.under_b += shared.under_a + 1",
    'while not READ_ONCE(shared, "{f}") and not completion_done({c}):\n    wait_for_completion({c})',
    'set_current_state(TASK_INTERRUPTIBLE)\nif not READ_ONCE(shared, "{f}"):\n    schedule()\n'
    "__set_current_state(TASK_RUNNING)",
    'WRITE_ONCE(shared, "{f}", {v})\nlogs[{n}].append(wake_up_process(tasks[{o}]))',
    "set_current_state(TASK_INTERRUPTIBLE)\nwith {l}:\n    pass\nwait_for_completion({c})",
    'assert READ_ONCE(shared, "x") <= READ_ONCE(shared, "y") + 1',
    'assert not (bits.test_bit({b}) and READ_ONCE(shared, "{f}"))',
)
TIMED = (
    "logs[{n}].append(jiffies())",
    "logs[{n}].append(mod_timer(timer, {v}))",
    "logs[{n}].append(timer_delete(timer))",
    "logs[{n}].append(timer_delete_sync(timer))",
)
# Whole tasks: what a kthread does by itself takes many steps, so these programs have little else.
KTHREADS = (
    "kthread = kthread_run(lambda _: 5, None, 'kthread')\nlogs[0].append(kthread_stop(kthread))",
    "kthread = kthread_create(lambda _: 5, None, 'kthread')\nlogs[0].append(kthread_stop(kthread))",
    "kthread = kthread_create(lambda _: 5, None, 'kthread')\nwake_up_process(kthread)\ntasks.append(kthread)\n"
    "logs[0].append(kthread_stop(kthread))",
    "kthread = kthread_create(lambda _: kthread_should_park() and kthread_parkme(), None, 'kthread')\n"
    "kthread_park(kthread)\nkthread_unpark(kthread)\nkthread_stop(kthread)",
    "logs[0].append(len(runtime.tasks()))",
    "spawned = runtime.spawn(lambda: bump('x'), 'spawned')\nwake_up_process(spawned)",
    "spawned = kthread_create(lambda _: None, None, 'spawned')\nkthread_bind(spawned, 0)\nkthread_stop(spawned)",
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
    tasks = draw.choice((2, 2, 2, 2, 3))
    kind = draw.random()
    bodies: list[tuple[str, ...]] = []
    for number in range(tasks):
        body: list[str] = []
        for _ in range(draw.randint(1, 3 if tasks == 2 else 2)):
            statements = SIMPLE if draw.random() < 0.6 else COMPOUND
            if kind < 0.2 and draw.random() < 0.5:
                statements = TIMED
            body.append(
                draw.choice(statements).format(
                    n=number,
                    f=draw.choice("xy"),
                    l=draw.choice("ab"),
                    c=draw.choice("cd"),
                    o=draw.randrange(tasks),
                    b=draw.randrange(2),
                    v=draw.randint(1, 2),
                )
            )
        bodies.append(tuple(body))
    if kind > 0.9:
        bodies = [(draw.choice(KTHREADS), *bodies[0][:1]), bodies[1][:1]]
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
