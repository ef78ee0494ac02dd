"""`record(scenario, schedule)`: one execution, with everything that a picture or an explanation needs at every step."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kwlab.explore.engine import Options, Scenario, exploring, run_once
from kwlab.explore.labels import Labels, is_worker
from kwlab.explore.places import Places
from kwlab.explore.replay import Follow
from kwlab.explore.schedule import Schedule
from kwlab.explore.sentences import afterwards, changes, deed, look, reported, told
from kwlab.explore.snapshot import Snapshots
from kwlab.explore.trace_format import BugNote, State, Step, TaskNote, Trace, TraceEvent
from kwlab.runtime.base import local, probes
from kwlab.runtime.model import Ending, ModelRuntime
from kwlab.runtime.model_objects import ModelTask, unobserved
from kwlab.runtime.model_ops import NAMES, target_name

__all__ = ["Trace", "record", "scenario_name"]


def record(
    scenario: Scenario,
    schedule: str | Sequence[int] | None = None,
    options: Options | None = None,
    *,
    stop: bool = False,
) -> Trace:
    """Run `scenario` once and record every step.

    `schedule` (task numbers, or the text of a `Schedule`) says who takes each step; behind its end, or without one,
    every task goes on as long as it can. With `stop` the execution ends where the schedule does, and `Trace.enabled`
    says who could have gone on. `options` must be those of the search that found the schedule. Errors: `ScheduleError`
    if the schedule does not fit.
    """
    options = options or Options()
    recorder = _Recorder(scenario, Schedule.read(schedule or ()), options, stop)
    with exploring(scenario, options) as interrupt:
        trace = recorder.run()
    interrupt.deliver()
    return trace


def scenario_name(scenario: Scenario) -> str:
    """What reports call it: the function's name, and for a method whose object has a name, that too."""
    name = getattr(scenario, "__name__", "scenario")
    owner = getattr(getattr(scenario, "__self__", None), "name", None)
    return f"{owner} ({name})" if isinstance(owner, str) else name


class _Recorder:
    """A strategy that follows a schedule and takes notes: between two choices exactly one step happens."""

    every_step = True
    states = 0

    def __init__(self, scenario: Scenario, schedule: Schedule, options: Options, stop: bool) -> None:
        self.scenario = scenario
        self.schedule = schedule
        self.options = options
        self.stop = stop
        self.follow = Follow(schedule)
        self.places = Places()
        self.labels = Labels()
        self.steps: list[Step] = []
        self.enabled: tuple[int, ...] = ()
        # Of the step under way: what is known of it, its task, what it does and what follows from that.
        self.step: Step | None = None
        self.task: ModelTask | None = None
        self.deed = ""
        self.details: list[str] = []
        self.events: list[TraceEvent] = []
        self.slept: set[int] = set()  # tasks that slept or waited since they announced what they are about to do

    def run(self) -> Trace:
        probes.append(self._probe)
        try:
            execution = run_once(self.scenario, self, self.options, self._inspect)
        finally:
            probes.remove(self._probe)
        self.follow.verify(execution.schedule)
        bug = execution.bug
        return Trace(
            scenario_name(self.scenario),
            tuple(execution.schedule),
            tuple(TaskNote(task.id, task.name, task.is_device) for task in self.runtime.all_tasks),
            self.places.sources,
            None if bug is None else BugNote(bug.kind, bug.sentence, bug.task),
            tuple(self.steps),
            self.enabled,
        )

    # ------------------------------------------------------------------------------------------------- as a strategy

    def begin(self, runtime: ModelRuntime) -> None:
        self.runtime = runtime
        self.snapshots = Snapshots(runtime, self.places, self.labels)
        self.observer, runtime.observer = runtime.observer, self._observe
        self.follow.begin(runtime)

    def choose(self, enabled: list[ModelTask], me: ModelTask) -> ModelTask | None:
        if self.stop and len(self.runtime.schedule) >= len(self.schedule):
            self.enabled = tuple(task.id for task in enabled)
            return None
        with unobserved(me):
            self._finish(self.snapshots.take(me))
        chosen = self.follow.choose(enabled, me)
        self._start(chosen, enabled, me)
        return chosen

    def end(self, ending: Ending) -> bool:
        return False

    def guarantee(self) -> str:
        return self.follow.guarantee()

    # --------------------------------------------------------------------------------------------- one step, in parts

    def _start(self, chosen: ModelTask, enabled: list[ModelTask], me: ModelTask) -> None:
        """`chosen` is about to take a step."""
        before = self.steps[-1].state
        preemption = chosen is not me and me in enabled
        self.snapshots.preempted.discard(chosen.id)
        if preemption:
            self.snapshots.preempted.add(me.id)
        words = deed(self.runtime, chosen, chosen.id in self.slept)
        self.deed = f"{me.name} is preempted here: {words}" if preemption else words
        self.slept.discard(chosen.id)
        self.task = chosen
        self.step = Step(
            index=len(self.steps),
            task=chosen.id,
            op=NAMES[chosen.op],
            target=target_name(chosen.op, chosen.target, chosen.argument),
            sentence="",
            preemption=preemption,
            enabled=tuple(task.id for task in enabled),
            place=before.tasks[chosen.id].place,
            events=(),
            state=before,
        )

    def _observe(self, task: ModelTask, op: int, target: Any, result: Any) -> None:
        self.details.append(reported(op, target))
        if self.observer is not None:
            self.observer(task, op, target, result)

    def _probe(self, name: str, subject: Any, fields: dict[str, Any]) -> None:
        task = getattr(local, "task", None)
        if not isinstance(task, ModelTask) or task.runtime is not self.runtime:
            return
        with unobserved(task):
            labelled = self._labelled(name, subject, fields)
        self.events.append(TraceEvent(name, labelled))
        self.details.append(told(name, labelled.get("work", "")))

    def _labelled(self, name: str, subject: Any, fields: dict[str, Any]) -> dict[str, Any]:
        if name.startswith("lock_"):
            return {"name": subject.name}
        if name == "sched_waking":
            return {"comm": subject.name, "pid": subject.id, **fields}
        if is_worker(subject):
            self.snapshots.add_worker(subject)
        if fields.get("function") == "kthread_flush_work_fn" and not isinstance(fields["work"], int):
            self.labels.flush_work(fields["work"])
        return {key: self._label(key, value) for key, value in fields.items()}

    def _label(self, key: str, value: Any) -> Any:
        if key == "work":
            # An int is the address of a work that may be gone.
            return self.labels.at(value) if isinstance(value, int) else self.labels.work(value)
        return self.labels.worker(value) if key == "worker" else value

    def _finish(self, state: State) -> None:
        """The step under way is done, and this is how everything stands."""
        step, me = self.step, self.task
        if step is None or me is None:
            self.steps.append(Step(0, None, "", "", "the scenario begins", False, (), None, (), state))
        else:
            listed = changes(self.steps[-1].state.workers, state.workers) or look(me, step.target, state.workers)
            words = [self.deed, *listed, *self.details, afterwards(me)]
            sentence = ", ".join(part for part in words if part)
            self.steps.append(replace(step, sentence=sentence, events=tuple(self.events), state=state))
        self.details, self.events, self.step = [], [], None
        self.slept |= {task.id for task in self.runtime.live if afterwards(task)}

    def _inspect(self, ending: Ending) -> None:
        """Everything is over, and every task still is where it stopped."""
        failed, where = None, None
        if ending.kind not in ("done", "stuck", "pruned", "endless"):
            failed = ending.task
            error = ending.error
            where = self.places.of(error.__traceback__ if error is not None else self.runtime.ended_at)
        self._finish(self.snapshots.take(self.task, failed, where))
