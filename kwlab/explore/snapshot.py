"""How everything stands at one moment of an execution: tasks, locks, workers, lists."""

import sys
from typing import Any

from kwlab.explore.labels import Labels, is_worker, waits_for
from kwlab.explore.places import Places
from kwlab.explore.trace_format import Place, State, TaskState, Wakeup, WorkerState
from kwlab.listhead import ListHead
from kwlab.runtime.model import ModelRuntime
from kwlab.runtime.model_objects import ModelTask
from kwlab.runtime.model_ops import DEVICE, LOCK, SCHEDULE, WAIT, WAKE
from kwlab.runtime.states import TASK_DEAD, task_state_to_char
from kwlab.struct import freed

__all__ = ["Snapshots"]

ENDLESS = 10_000  # links followed in a list: a corrupted one may never come back to its head


class Snapshots:
    """Takes snapshots of one execution. Reads past every scheduling point and changes nothing."""

    def __init__(self, runtime: ModelRuntime, places: Places, labels: Labels) -> None:
        self.runtime = runtime
        self.places = places
        self.labels = labels
        self.preempted: set[int] = set()
        self._workers: list[Any] = []
        self._addresses: set[int] = set()
        self._last: dict[int, WorkerState] = {}
        self._tasks_seen = 0

    def add_worker(self, worker: Any) -> None:
        """Show `worker` from now on."""
        if id(worker) not in self._addresses:
            self._addresses.add(id(worker))
            self._workers.append(worker)

    def take(self, me: ModelTask | None, failed: ModelTask | None = None, where: Place | None = None) -> State:
        """The state now. `me` took the last step; `failed` is where a bug ended the execution, at `where`."""
        runtime = self.runtime
        for task in runtime.all_tasks[self._tasks_seen :]:
            if task.kthread is not None and is_worker(task.kthread.data):
                self.labels.worker(task.kthread.data, task.name)
                self.add_worker(task.kthread.data)
        self._tasks_seen = len(runtime.all_tasks)
        tasks = {}
        wakeups = []
        for task in runtime.all_tasks:
            if task is failed:
                tasks[task.id] = TaskState(task_state_to_char(task._state), "failed", where, _names(task.held))
                continue
            tasks[task.id] = self._task(task, me)
            if task.op == WAKE and task._state != TASK_DEAD:
                wakeups.append(Wakeup(task.id, task.target.id))
        return State(runtime.clock.now, tasks, tuple(self._worker(worker) for worker in self._workers), tuple(wakeups))

    def _task(self, task: ModelTask, me: ModelTask | None) -> TaskState:
        letter = task_state_to_char(task._state)
        if task._state == TASK_DEAD:
            return TaskState(letter, "exited")
        place = self._place(task)
        held = _names(task.held)
        op = task.op
        if op == DEVICE and not task.is_device and not task.target.ready():
            return TaskState("D", "waits until everybody else sleeps", place, held)
        if op == DEVICE and task.is_device:
            return TaskState(letter, "armed" if task.target.ready() else "idle", place, held)
        if op == LOCK and task.target.owner is not None:
            return TaskState(letter, f"waits for lock {task.target.name} held by {task.target.owner.name}", place, held)
        if op == WAIT and not task.target.count:
            return TaskState("D", waits_for(task.target), place, held)
        if op == SCHEDULE and task._state:
            started = task.kthread is None or task.kthread.started
            return TaskState(letter, "sleeps" if started else "never woken", place, held)
        if task is me:
            return TaskState(letter, "runs", place, held)
        return TaskState(letter, "preempted" if task.id in self.preempted else "could run", place, held)

    def _place(self, task: ModelTask) -> Place | None:
        if self.runtime.running is task:
            return self.places.of(sys._getframe(1))
        return self.places.of(self.runtime.carriers.frame(task))

    def _worker(self, worker: Any) -> WorkerState:
        name = self.labels.worker(worker)
        if freed(worker):
            state = WorkerState(name, freed=True)
        else:
            lock = worker.lock
            owner = getattr(lock, "owner", None)
            task = getattr(worker, "task", None)
            current_work = getattr(worker, "current_work", None)
            state = WorkerState(
                name,
                task.id if isinstance(task, ModelTask) else None,
                owner.id if owner is not None else None,
                tuple(t.id for t in self.runtime.live if t.op == LOCK and t.target is lock and t is not owner),
                self._list(worker.work_list),
                self._list(getattr(worker, "delayed_work_list", None)),
                None if current_work is None else self.labels.work(current_work),
                getattr(worker, "flags", 0),
            )
        # Most steps change nothing: one value then stands for all of them.
        last = self._last.get(id(worker))
        if last == state:
            return last
        self._last[id(worker)] = state
        return state

    def _list(self, head: ListHead | None) -> tuple[str, ...]:
        if head is None or freed(head) or head.next is None:
            return ()
        works: list[str] = []
        entry = head.next
        while entry is not head and len(works) < ENDLESS:
            if freed(entry):
                works.append("freed work")
                break
            works.append(self.labels.work(entry._container) if entry._container is not None else "?")
            entry = entry.next
        return tuple(works)


def _names(locks: list[Any]) -> tuple[str, ...]:
    return tuple(lock.name for lock in locks)
