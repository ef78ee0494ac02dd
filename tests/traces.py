"""Traces written by hand, for tests of pictures and widgets: a lost wake-up of three tasks, and long ones."""

from kwlab.explore.trace_format import (
    BugNote,
    Place,
    Source,
    State,
    Step,
    TaskNote,
    TaskState,
    Trace,
    Wakeup,
    WorkerState,
)

LOOP = (
    "def loop(worker):",
    "    while True:",
    "        with worker.lock:",
    "            work = take(worker)",
    "        set_current_state(TASK_INTERRUPTIBLE)",
    "        if work is None:",
    "            schedule()",
)
QUEUE = ("def queue(worker, work):", "    with worker.lock:", "        link(worker, work)", "    wake_up(worker.task)")
SOURCES = {"cell": {"loop": Source(10, LOOP), "queue": Source(40, QUEUE)}}


def at(function: str, line: int) -> Place:
    source = SOURCES["cell"][function]
    return Place("cell", function, line, source.lines[line - source.first].strip())


def worker(*works: str, holder: int | None = None, waiters: tuple[int, ...] = (), current: str | None = None):
    return WorkerState("demo", 1, holder, waiters, works, (), current)


def lost_wakeup() -> Trace:
    """main queues A in the gap between the worker's look and its announcement; a client waits for the lock."""
    could, sleeps = TaskState("R", "could run", at("queue", 41)), TaskState("S", "sleeps", at("loop", 16))
    waits = TaskState("R", "waits for lock worker.lock held by main", at("queue", 41))
    client = TaskState("R", "could run", at("queue", 41))

    def step(number, task, op, target, sentence, tasks, works, preemption=False, wakeups=(), place=None) -> Step:
        state = State(0, dict(enumerate(tasks)), (works,), tuple(Wakeup(*one) for one in wakeups))
        return Step(number, task, op, target, sentence, preemption, (0, 1), place, (), state)

    start = TaskState("R", "runs", at("queue", 41))
    steps = (
        step(0, None, "", "", "the scenario begins", (could, TaskState("D", "never woken"), client), worker()),
        step(
            *(1, 1, "lock", "worker.lock", "demo takes worker.lock"),
            (could, TaskState("R", "runs", at("loop", 14)), client),
            worker(),
            place=at("loop", 12),
        ),
        step(
            *(2, 0, "lock", "worker.lock", "main takes worker.lock, links A into work_list"),
            (
                TaskState("R", "runs", at("queue", 43), ("worker.lock",)),
                TaskState("R", "preempted", at("loop", 14)),
                waits,
            ),
            worker("A", holder=0, waiters=(2,)),
            True,
            [(0, 1)],
            at("queue", 41),
        ),
        step(
            *(3, 0, "wake_up", "demo", "main wakes demo, which is TASK_RUNNING: nothing happens"),
            (start, TaskState("R", "preempted", at("loop", 14)), client),
            worker("A"),
            place=at("queue", 43),
        ),
        step(
            *(4, 1, "set_current_state", "demo", "demo announces its sleep, now it sleeps (S)"),
            (could, sleeps, client),
            worker("A"),
            place=at("loop", 14),
        ),
    )
    bug = BugNote("lost wake-up", "demo sleeps with 1 work queued", "demo")
    tasks = (TaskNote(0, "main"), TaskNote(1, "demo"), TaskNote(2, "client"))
    return Trace("gap", tuple(step.task for step in steps[1:]), tasks, SOURCES, bug, steps)


def long_trace(steps: int, works: int = 3) -> Trace:
    """Two tasks that take turns, `steps` times, with `works` on the list."""
    short = lost_wakeup()
    listed = tuple(f"work_{number}" for number in range(works))

    def step(number: int) -> Step:
        runs, could = TaskState("R", "runs", at("queue", 41)), TaskState("R", "preempted", at("loop", 12))
        turn = number // 7 % 2
        state = State(0, {turn: runs, 1 - turn: could}, (worker(*listed, current="A"),), ())
        preemption = number > 0 and number % 7 == 0
        return Step(
            *(number, turn if number else None, "lock", "worker.lock", f"turn {number}", preemption),
            *((0, 1), at("loop", 12), (), state),
        )

    every = tuple(step(number) for number in range(steps + 1))
    return Trace("long", tuple(one.task for one in every[1:]), short.tasks[:2], SOURCES, None, every)
