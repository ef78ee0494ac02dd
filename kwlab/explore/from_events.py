"""A trace of what real threads did, from recorded tracepoints: the same format, so the same pictures show it.

Events tell what happened and nothing of what could have happened: no step has choices, preemptions or lines of code.
States are what follows from the events; a task is shown from its first event on.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from kwlab.explore.trace_format import State, Step, TaskNote, TaskState, Trace, TraceEvent, WorkerState
from kwlab.tracepoint import Event

__all__ = ["from_events"]


def from_events(events: Iterable[Event], name: str = "recorded") -> Trace:
    """The trace of `events` (of `kwlab.tracepoint.record`), oldest first. `now` is in ms since the first."""
    history = _History()
    for event in events:
        history.add(event)
    return Trace(
        scenario=name,
        schedule=tuple(step.task for step in history.steps if step.task is not None),
        tasks=tuple(history.notes),
        sources={},
        bug=None,
        steps=tuple(history.steps),
    )


class _History:
    def __init__(self) -> None:
        self.notes: list[TaskNote] = []
        self.tasks: dict[int, TaskState] = {}
        self.workers: dict[str, WorkerState] = {}
        self.steps = [Step(0, None, "", "", "the recording begins", False, (), None, (), State(0, {}))]
        self._ids: dict[int, int] = {}
        self._in_a_work: set[int] = set()
        self._labels: dict[str, str] = {}
        self._start: float | None = None

    def add(self, event: Event) -> None:
        """The next event: one step."""
        self._start = event.time if self._start is None else self._start
        me = self._task(event.pid, event.task)
        fields = {**event.fields}
        if "work" in fields:
            fields["work"] = self._label(str(fields["work"]), fields.get("function"))
        self.tasks[me] = replace(self.tasks[me], state="R", doing="runs")
        sentence = f"{event.task} {self._happened(me, event.name, fields)}"
        state = State(int((event.time - self._start) * 1000), dict(self.tasks), tuple(self.workers.values()))
        target = str(fields.get("work") or fields.get("name") or fields.get("comm") or "")
        happened = (TraceEvent(event.name, fields),)
        self.steps.append(Step(len(self.steps), me, event.name, target, sentence, False, (), None, happened, state))

    def _happened(self, me: int, name: str, fields: dict[str, Any]) -> str:
        """What `name` changes, and in words."""
        work = str(fields.get("work", ""))
        if name == "sched_kthread_work_queue_work":
            worker = self._worker(str(fields["worker"]))
            self._set(worker, work_list=(*worker.work_list, work))
            return f"queues {work}"
        if name == "list_del":
            for worker in list(self.workers.values()):
                if work in worker.work_list:
                    left = tuple(one for one in worker.work_list if one != work)
                    self._set(worker, task=me, work_list=left, current_work=work)
            return f"takes {work} off its list"
        if name == "sched_kthread_work_execute_start":
            self._in_a_work.add(me)
            return f"calls {work}"
        if name == "sched_kthread_work_execute_end":
            self._in_a_work.discard(me)
            return f"returns from {work}"
        if name == "sched_waking":
            woken = self._task(int(fields["pid"]), str(fields["comm"]))
            self.tasks[woken] = replace(self.tasks[woken], state="R", doing="could run")
            return f"wakes {fields['comm']}"
        if name == "sched_switch":
            if not fields.get("out"):
                return "goes on"
            letter = str(fields["prev_state"])
            self.tasks[me] = replace(self.tasks[me], state=letter, doing="sleeps")
            self._sleeps(me)
            return f"sleeps ({letter})"
        return self._lock(me, name, str(fields.get("name", ""))) or f"{name} {work}".rstrip()

    def _lock(self, me: int, name: str, lock: str) -> str:
        held = self.tasks[me].held
        holder = next((number for number, task in self.tasks.items() if lock in task.held), None)
        if name == "lock_contended":
            whose = f" held by {self.notes[holder].name}" if holder is not None else ""
            self.tasks[me] = replace(self.tasks[me], doing=f"waits for lock {lock}{whose}")
            return f"waits for {lock}"
        if name == "lock_acquire":
            self.tasks[me] = replace(self.tasks[me], held=(*held, lock))
            return f"takes {lock}"
        if name == "lock_release":
            self.tasks[me] = replace(self.tasks[me], held=tuple(one for one in held if one != lock))
            return f"releases {lock}"
        return ""

    def _sleeps(self, me: int) -> None:
        # A worker's thread sleeps when it found nothing, or in a work, which then still runs.
        for worker in list(self.workers.values()):
            if worker.task == me and me not in self._in_a_work:
                self._set(worker, current_work=None)

    def _task(self, pid: int, name: str) -> int:
        if pid not in self._ids:
            number = self._ids[pid] = len(self.notes)
            self.notes.append(TaskNote(number, name))
            self.tasks[number] = TaskState("R", "could run")
        return self._ids[pid]

    def _worker(self, name: str) -> WorkerState:
        return self.workers.setdefault(name, WorkerState(name))

    def _set(self, worker: WorkerState, **fields: Any) -> None:
        self.workers[worker.name] = replace(worker, **fields)

    def _label(self, address: str, function: Any) -> str:
        if address not in self._labels:
            name = "flush" if function == "kthread_flush_work_fn" else str(function or address)
            same = sum(1 for label in self._labels.values() if label.partition("#")[0] == name)
            self._labels[address] = name if not same else f"{name}#{same + 1}"
        return self._labels[address]
