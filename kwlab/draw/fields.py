"""What a queue picture shows, and how it is drawn: workers with their fields and what these point at, and the tasks.

Nothing here looks at a live worker or at a trace: `kwlab.draw.queue` and `kwlab.draw.moment` do, and hand over states.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kwlab.draw.svg import LINE, SHOWN, Picture, Svg, clipped, elided

__all__ = ["QueueState", "Queued", "TaskBox", "draw_moment", "draw_queue"]

STYLE = ".kwlab .small{font-size:11px}"
STATES = {"R": "running", "S": "sleeping", "D": "waiting", "I": "idle", "P": "parked", "X": "ended", "F": "frozen"}


@dataclass(frozen=True, slots=True)
class Queued:
    """A work as the picture shows it: the name of its function, and what sets it apart."""

    name: str
    flush: bool = False  # the work of a kthread_flush_work that waits
    canceling: int = 0


@dataclass(frozen=True, slots=True)
class QueueState:
    """What a worker's fields held at one moment. `state` is the thread's letter, "" without a thread.

    `waiters` are the tasks that wait for the lock; of a worker that was `freed` nothing else is known.
    """

    task: str
    state: str
    lock_holder: str = ""
    work_list: tuple[Queued, ...] = ()
    delayed_work_list: tuple[Queued, ...] = ()
    current_work: Queued | None = None
    waiters: tuple[str, ...] = ()
    freed: bool = False


@dataclass(frozen=True, slots=True)
class TaskBox:
    """A task beside the workers: its name, the letter of its state, and what it does in words."""

    name: str
    state: str
    doing: str


FIELD, VALUE = 18, 190  # where names and values of the fields start
NODES = 258  # where the first node starts
NODE, GAP = 82, 30  # width of a node, distance to the next
TALL = 30  # height of a node
WIDTH = NODES + SHOWN * (NODE + GAP) + 6
FIELDS_RIGHT = 214  # right edge of the struct's box
ROWS = {"lock": 56, "work_list": 96, "delayed_work_list": 160, "current_work": 224, "task": 270}
HEIGHT = 304
NOBODY = 44  # height of what says that there is no worker
BOX, BOX_TALL, IN_A_ROW = 214, 46, 4  # the boxes of the tasks
BELOW = 40  # pixels under a row of tasks, for the wake-ups


def draw_queue(state: QueueState) -> Picture:
    """Draw `state`; the picture's label says the same in words."""
    return draw_moment([state])


def draw_moment(
    states: Sequence[QueueState],
    tasks: Sequence[TaskBox] = (),
    wakeups: Sequence[tuple[int, int]] = (),
    *,
    room: bool = True,
) -> Picture:
    """Draw workers one below the other, then `tasks`; `wakeups` are pairs of places in `tasks`: who is about to wake
    whom. `room`: where there is no worker yet, the place for one is left free."""
    rows = -(-len(tasks) // IN_A_ROW)
    below = len(states) * HEIGHT or (HEIGHT if room else NOBODY)
    svg = Svg(WIDTH, below + rows * (BOX_TALL + BELOW), STYLE if tasks or _long(states) else "")
    for number, state in enumerate(states):
        _draw_worker(svg, number * HEIGHT, state)
    if not states:
        svg.text(FIELD, 30, "no worker yet", "soft")
    _draw_tasks(svg, below, tasks, wakeups)
    said = [_in_words(state) for state in states] or ["no worker yet"]
    if tasks:
        said.append("; ".join(f"{task.name} {task.doing} ({task.state})" for task in tasks))
    said += [f"{tasks[by].name} is about to wake {tasks[whom].name}" for by, whom in wakeups]
    return svg.picture(". ".join(said))


def _long(states: Sequence[QueueState]) -> bool:
    """True if a work's name needs small letters."""
    return any(
        work is not None and len(work.name) > 9
        for state in states
        for work in (*state.work_list, *state.delayed_work_list, state.current_work)
    )


def _draw_worker(svg: Svg, top: int, state: QueueState) -> None:
    svg.box(8, top + 8, FIELDS_RIGHT - 8, HEIGHT - 16, "gap" if state.freed else "fill")
    svg.text(FIELD, top + 30, "struct kthread_worker", "strong")
    if state.freed:
        svg.text(FIELD, top + 60, "freed: this memory may")
        svg.text(FIELD, top + 60 + LINE, "belong to somebody else")
        return
    for field, y in ROWS.items():
        svg.text(FIELD, top + y + 5, field)
    _draw_lock(svg, top + ROWS["lock"], state)
    _draw_list(svg, top + ROWS["work_list"], state.work_list, "box")
    _draw_list(svg, top + ROWS["delayed_work_list"], state.delayed_work_list, "gap")
    y = top + ROWS["current_work"]
    if state.current_work is None:
        svg.text(NODES - 24, y + 5, "NULL", "soft")
    else:
        svg.dot(VALUE, y)
        svg.arrow((VALUE, y), (NODES, y))
        _draw_node(svg, NODES, y, state.current_work, "mark")
        svg.text(NODES + NODE + 12, y + 5, "taken last" if state.task else "stale: the thread is gone", "soft")
    y = top + ROWS["task"]
    if state.task:
        svg.dot(VALUE, y)
        svg.arrow((VALUE, y), (NODES, y))
        words = f"thread {clipped(state.task, 40)}   {state.state} ({STATES.get(state.state, state.state)})"
        svg.box(NODES, y - 16, 16 + 8 * len(words), 32, "fill")
        svg.text(NODES + 8, y + 5, words)
    else:
        svg.text(NODES - 24, y + 5, "NULL", "soft")


def _draw_lock(svg: Svg, y: float, state: QueueState) -> None:
    if not state.lock_holder:
        svg.text(NODES - 24, y + 5, "free")
        return
    svg.dot(VALUE, y)
    svg.arrow((VALUE, y), (NODES, y))
    x: float = NODES
    for words, kind in [
        (f"held by {state.lock_holder}", "mark"),
        *((f"{name} waits", "gap") for name in state.waiters),
    ]:
        words = clipped(words, 30)
        svg.box(x, y - 13, 16 + 8 * len(words), 26, kind)
        svg.text(x + 8, y + 5, words)
        x += 26 + 8 * len(words)


def _draw_tasks(svg: Svg, top: float, tasks: Sequence[TaskBox], wakeups: Sequence[tuple[int, int]]) -> None:
    """Who runs is framed thick, who sleeps or waits dashed; a wake-up on its way is an arrow below the boxes."""

    def place(number: int) -> tuple[float, float]:
        row, column = divmod(number, IN_A_ROW)
        return 8 + column * (BOX + 16), top + row * (BOX_TALL + BELOW)

    for number, task in enumerate(tasks):
        x, y = place(number)
        kind = {"runs": "mark", "failed": "mark", "could run": "box", "preempted": "box"}.get(task.doing, "gap")
        svg.box(x, y, BOX, BOX_TALL, kind, title=f"{task.name}: {task.doing}")
        svg.text(x + 8, y + 19, clipped(f"{task.name}   {task.state}", 25), "strong")
        svg.text(x + 8, y + 37, clipped(task.doing, 30), "small")
    for by, whom in wakeups:
        (x0, y0), (x1, y1) = place(by), place(whom)
        start, end = x0 + BOX / 2, x1 + BOX / 2 + (20 if by == whom else 0)
        down = max(y0, y1) + BOX_TALL + 16
        svg.arrow((start, y0 + BOX_TALL), (start, down), (end, down), (end, y1 + BOX_TALL), kind="back")
        svg.text((start + end) / 2, down + 14, "wake-up on its way", "small", "middle")


def _draw_list(svg: Svg, y: float, works: Sequence[Queued], kind: str) -> None:
    """A ring: `next` above, `prev` below (dashed), the last node's next back to the head."""
    svg.dot(VALUE, y)
    if not works:
        svg.arrow((VALUE, y), (VALUE + 34, y), (VALUE + 34, y + 17), (VALUE, y + 17), (VALUE, y + 4))
        svg.text(NODES - 24, y + 5, "points at itself: empty", "soft")
        return
    first, left_out, last = elided(works)
    places: list[Queued | int] = [*first, *([left_out] if left_out else []), *last]
    svg.arrow((VALUE, y), (NODES, y))
    for number, work in enumerate(places):
        x = NODES + number * (NODE + GAP)
        if number:
            svg.arrow((x - GAP, y - 7), (x, y - 7))
            svg.arrow((x, y + 7), (x - GAP, y + 7), kind="back")
        if isinstance(work, int):
            svg.box(x, y - TALL / 2, NODE, TALL, "gap")
            svg.text(x + NODE / 2, y + 5, f"{work} more", "soft", "middle")
        else:
            _draw_node(svg, x, y, work, kind)
    middle, below = NODES + (len(places) - 1) * (NODE + GAP) + NODE / 2, y + TALL / 2
    svg.arrow((middle, below), (middle, below + 13), (VALUE, below + 13), (VALUE, y + 4))


def _draw_node(svg: Svg, x: float, y: float, work: Queued, kind: str) -> None:
    svg.box(x, y - TALL / 2, NODE, TALL, kind, title=work.name)
    if work.flush:  # a second frame: nobody's work, somebody's wait
        svg.box(x + 3, y - TALL / 2 + 3, NODE - 6, TALL - 6, kind)
    if len(work.name) > 9:
        svg.text(x + NODE / 2, y + 4, clipped(work.name, 11), "small", "middle")
    else:
        svg.text(x + NODE / 2, y + 5, work.name, "", "middle")
    if work.canceling:
        svg.text(x + NODE / 2, y - TALL / 2 - 4, f"canceling {work.canceling}", "soft", "middle")


def _in_words(state: QueueState) -> str:
    if state.freed:
        return "a worker that was freed"
    task = f"{state.task} ({STATES.get(state.state, state.state)})" if state.task else "none"
    parts = [f"worker with thread {task}"]
    if state.lock_holder:
        waited = f", {' and '.join(state.waiters)} wait{'s' * (len(state.waiters) == 1)}" if state.waiters else ""
        parts.append(f"lock held by {state.lock_holder}{waited}")
    running = _names([state.current_work]) if state.current_work else "NULL"
    parts += [
        f"work_list: {_names(state.work_list) or 'empty'}",
        f"delayed_work_list: {_names(state.delayed_work_list) or 'empty'}",
        f"current_work: {running}",
    ]
    return "; ".join(parts)


def _names(works: Sequence[Queued]) -> str:
    first, left_out, last = elided(works)
    named = [work.name + (f" (canceling {work.canceling})" if work.canceling else "") for work in (*first, *last)]
    if left_out:
        named.insert(len(first), f"... {left_out} more ...")
    return ", ".join(named)
