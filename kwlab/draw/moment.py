"""The queue picture of one moment of a trace: its workers, its tasks, and the wake-ups on their way."""

from kwlab.draw.fields import Queued, QueueState, TaskBox, draw_moment
from kwlab.draw.svg import Picture
from kwlab.explore.trace_format import State, Trace, WorkerState

__all__ = ["moment_picture"]


def moment_picture(trace: Trace, at: int = -1) -> Picture:
    """How everything stood after step `at` of `trace`; 0 is the start, -1 the end."""
    state = trace.steps[at].state
    shown = {number: task for number, task in state.tasks.items() if task.doing not in ("exited", "idle")}
    places = {number: place for place, number in enumerate(shown)}
    return draw_moment(
        [_worker(trace, state, worker) for worker in state.workers],
        [TaskBox(trace.name_of(number), task.state, task.doing) for number, task in shown.items()],
        [(places[one.by], places[one.task]) for one in state.wakeup_in_flight if {one.by, one.task} <= set(places)],
        room=any(step.state.workers for step in trace.steps),  # a picture that does not jump when the worker comes
    )


def _worker(trace: Trace, state: State, worker: WorkerState) -> QueueState:
    task = None if worker.task is None else state.tasks.get(worker.task)
    return QueueState(
        task=trace.name_of(worker.task),
        state=task.state if task is not None else "",
        lock_holder=trace.name_of(worker.lock_holder),
        waiters=tuple(map(trace.name_of, worker.waiters)),
        freed=worker.freed,
        work_list=tuple(map(_work, worker.work_list)),
        delayed_work_list=tuple(map(_work, worker.delayed_work_list)),
        current_work=None if worker.current_work is None else _work(worker.current_work),
    )


def _work(label: str) -> Queued:
    return Queued(label, flush=label.startswith("flush"))
