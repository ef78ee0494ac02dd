"""The queue picture: a worker's fields, what they point at, and the thread.

Three steps, each of which can be looked at alone: `queue_state` reads a worker under its lock, `QueueState` is what it
saw, `draw_queue` draws that.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kwlab.draw.svg import Picture, Svg, clipped
from kwlab.face import Worker
from kwlab.listhead import ListHead, list_for_each_entry
from kwlab.runtime.threads import ThreadRuntime
from kwlab.sched import current, task_state_to_char
from kwlab.worker import KthreadWork, KthreadWorker, kthread_flush_work_fn

__all__ = ["QueueState", "Queued", "draw_queue", "elided", "queue_picture", "queue_state"]

SHOWN = 6  # nodes of a list that are drawn; longer lists lose their middle
STATES = {"R": "running", "S": "sleeping", "D": "waiting", "I": "idle", "P": "parked", "X": "ended", "F": "frozen"}


@dataclass(frozen=True, slots=True)
class Queued:
    """A work as the picture shows it: the name of its function, and what sets it apart."""

    name: str
    flush: bool = False  # the work of a kthread_flush_work that waits
    canceling: int = 0


@dataclass(frozen=True, slots=True)
class QueueState:
    """What a worker's fields held at one moment. `state` is the thread's letter, "" without a thread."""

    task: str
    state: str
    lock_holder: str = ""
    work_list: tuple[Queued, ...] = ()
    delayed_work_list: tuple[Queued, ...] = ()
    current_work: Queued | None = None


def queue_picture(worker: KthreadWorker | Worker) -> Picture:
    """The picture of `worker` as soon as its thread has come to rest, or after a second as it then is."""
    worker = worker.worker if isinstance(worker, Worker) else worker
    runtime = worker.task.runtime if worker.task else None
    if isinstance(runtime, ThreadRuntime) and worker.lock.holder is not current():
        with suppress(TimeoutError):
            runtime.settle(1.0)
    return draw_queue(queue_state(worker))


def queue_state(worker: KthreadWorker) -> QueueState:
    """What `worker` holds now, read under its lock, which this call takes unless the caller holds it."""
    if worker.lock.holder is current():
        return _read(worker, current().name)
    with worker.lock:
        return _read(worker, "")


def _read(worker: KthreadWorker, holder: str) -> QueueState:
    def works(head: ListHead) -> tuple[Queued, ...]:
        return tuple(_queued(work) for work in list_for_each_entry(head, KthreadWork, "node"))

    return QueueState(
        task=worker.task.name if worker.task else "",
        state=task_state_to_char(worker.task.state) if worker.task else "",
        lock_holder=holder,
        work_list=works(worker.work_list),
        delayed_work_list=works(worker.delayed_work_list),
        current_work=_queued(worker.current_work) if worker.current_work is not None else None,
    )


def _queued(work: Any) -> Queued:
    flush = work.func is kthread_flush_work_fn
    name = "flush" if flush else getattr(work.func, "__name__", type(work.func).__name__)
    return Queued(name, flush, work.canceling)


def elided(items: Sequence[Any], limit: int = SHOWN) -> tuple[Sequence[Any], int, Sequence[Any]]:
    """The first of `items`, how many are left out, and the last: `limit` places, one of them for what is left out."""
    if len(items) <= limit:
        return items, 0, ()
    return items[: limit - 3], len(items) - (limit - 1), items[-2:]


# ------------------------------------------------------------------------------------------------------ the drawing

FIELD, VALUE = 18, 190  # where names and values of the fields start
NODES = 258  # where the first node starts
NODE, GAP = 82, 30  # width of a node, distance to the next
TALL = 30  # height of a node
WIDTH = NODES + SHOWN * (NODE + GAP) + 6
FIELDS_RIGHT = 214  # right edge of the struct's box
ROWS = {"lock": 56, "work_list": 96, "delayed_work_list": 160, "current_work": 224, "task": 270}
HEIGHT = 304


def draw_queue(state: QueueState) -> Picture:
    """Draw `state`; the picture's label says the same in words."""
    svg = Svg(WIDTH, HEIGHT)
    svg.box(8, 8, FIELDS_RIGHT - 8, HEIGHT - 16, "fill")
    svg.text(FIELD, 30, "struct kthread_worker", "strong")
    for field, y in ROWS.items():
        svg.text(FIELD, y + 5, field)
    svg.text(NODES - 24, ROWS["lock"] + 5, f"held by {state.lock_holder}" if state.lock_holder else "free")
    _draw_list(svg, ROWS["work_list"], state.work_list, "box")
    _draw_list(svg, ROWS["delayed_work_list"], state.delayed_work_list, "gap")
    y = ROWS["current_work"]
    if state.current_work is None:
        svg.text(NODES - 24, y + 5, "NULL", "soft")
    else:
        svg.dot(VALUE, y)
        svg.arrow((VALUE, y), (NODES, y))
        _draw_node(svg, NODES, y, state.current_work, "mark")
        svg.text(NODES + NODE + 12, y + 5, "taken last: it runs" if state.task else "stale: the thread is gone", "soft")
    y = ROWS["task"]
    if state.task:
        svg.dot(VALUE, y)
        svg.arrow((VALUE, y), (NODES, y))
        words = f"thread {clipped(state.task, 40)}   {state.state} ({STATES.get(state.state, state.state)})"
        svg.box(NODES, y - 16, 16 + 8 * len(words), 32, "fill")
        svg.text(NODES + 8, y + 5, words)
    else:
        svg.text(NODES - 24, y + 5, "NULL", "soft")
    return svg.picture(_in_words(state))


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
    svg.text(x + NODE / 2, y + 5, clipped(work.name, 9), "", "middle")
    if work.canceling:
        svg.text(x + NODE / 2, y - TALL / 2 - 4, f"canceling {work.canceling}", "soft", "middle")


def _in_words(state: QueueState) -> str:
    task = f"{state.task} ({STATES.get(state.state, state.state)})" if state.task else "none"
    parts = [f"worker with thread {task}"]
    if state.lock_holder:
        parts.append(f"lock held by {state.lock_holder}")
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
