"""Playing a scenario on a runtime, any runtime.

The task that calls `run` is the scenario's main thread. It never sleeps in the kernel's functions: a call that may
sleep is made by a kthread. It waits by letting the runtime *settle* (every other task sleeps) and, if what it waits
for has not happened by then, by letting virtual time pass up to the next timer. So nothing here depends on speed, and
a wait that can never end is known for certain: all sleep, and no timer is left. That is a hang.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from kwlab import worker as the_worker
from kwlab.runtime.base import probes
from kwlab.scenario.format import Call, Scenario
from kwlab.scenario.language import HANG
from kwlab.scenario.looks import look, rescue
from kwlab.scenario.observations import Observations
from kwlab.scenario.stage import Actor, Stage, about_to_look, about_to_note, record
from kwlab.scenario.waiting import Hang, SteppedRuntime, Waiting
from kwlab.sched import current, wake_up_process

__all__ = ["Player", "run"]

EVENTS = {
    "sched_kthread_work_queue_work": "queue",
    "sched_kthread_work_execute_start": "start",
    "sched_kthread_work_execute_end": "end",
    "sched_waking": "waking",
}


def run(scenario: Scenario, runtime: SteppedRuntime, subject: ModuleType = the_worker) -> Observations:
    """Play `scenario` in the calling task, which belongs to `runtime`, and say what was seen.

    `subject` is the module that has the worker's functions. Threads that the scenario leaves are left:
    see `kwlab.scenario.conformance`. Errors: `Unavailable` if the machine refuses the set-up.
    """
    return Player(scenario, runtime, subject).play()


class Player(Waiting):
    def __init__(self, scenario: Scenario, runtime: SteppedRuntime, subject: ModuleType = the_worker) -> None:
        super().__init__(runtime, Stage(scenario, subject))
        self.scenario = scenario
        self.actors: dict[str, Actor] = {}
        self.seen = Observations()
        # What nobody asks for is not kept: it would tell apart states that are the same.
        self._asked = {call.operation.name for call in (*scenario.before, *scenario.steps)}
        self.woken: list[Any] = []  # the tasks, in order

    def play(self) -> Observations:
        """The whole scenario."""
        seen, logged = self.seen, 0
        probes.append(self._probe)
        try:
            self.stage.make_workers()
            for call in self.scenario.before:
                self._step(call, f"before, step {call.number}")
            if self.scenario.before:
                about_to_look(self.runtime)
                for noted in (seen.steps, seen.answers, seen.trace, self.stage.order, self.stage.inside):
                    noted.clear()
                logged = len(self.runtime.log.lines)
            for call in self.scenario.steps:
                self._step(call, f"step {call.number}")
            self.settle()
        except Hang as hang:
            seen.hang = str(hang)
        finally:
            probes.remove(self._probe)
        for actor in self.actors.values():
            self._report(actor)
        seen.order, seen.inside = list(self.stage.order), list(self.stage.inside)
        seen.failures = list(self.stage.failures)
        seen.warns = _warnings(list(self.runtime.log.lines)[logged:])
        return seen

    def _probe(self, event: str, subject: Any, fields: dict[str, Any]) -> None:
        kind = EVENTS.get(event)
        if kind is None or current().runtime is not self.runtime:
            return
        if kind == "waking":
            if "check_wakings" in self._asked:
                about_to_note(self.runtime)
                self.woken.append(subject)
            return
        if self.scenario.trace is None:
            return
        flush = fields["function"] == "kthread_flush_work_fn"
        work = fields["work"]
        address = work if isinstance(work, int) else id(work)  # an address is all that is left of one that ran
        name = "<flush>" if flush else self.stage.name_at(address) or fields["function"]
        about_to_note(self.runtime)
        self.seen.trace.append([kind, name])

    # ------------------------------------------------------------------------------------------------------ the steps

    def _step(self, call: Call, where: str) -> None:
        name = call.operation.name
        if call.by != "main":
            self._act(call, where)
            return
        is_kernels = "actor" in call.operation.who or name == "msleep"
        if is_kernels:
            answer = self._kernel_call(call, where)
        else:
            answer = self.stage.guarded(call, lambda: self._own(name, call, where))
        if call.compared or name == "open_gate":
            self._note(call, answer)
        if name in ("blocked", "returned") and answer is (name == "returned"):
            self._report(self.actors[call.arguments[0]])

    def _note(self, call: Call, answer: Any) -> None:
        self.seen.answers[call.number] = answer
        self.seen.steps.append(record(call.by, call, answer))

    def _report(self, actor: Actor) -> None:
        """Note what an actor's call returned, once."""
        if actor.back and actor.call.compared and not actor.reported:
            actor.reported = True
            self._note(actor.call, actor.answer)

    def _act(self, call: Call, where: str) -> None:
        before = self.actors.get(call.by)
        if before is not None:
            self.wait(where, lambda: before.back)
            self._report(before)
        self.actors[call.by] = self.stage.act(call)

    def _kernel_call(self, call: Call, where: str) -> Any:
        if call.operation.name == "msleep":
            return self.pass_time(lambda: False, call.arguments[0])
        if not call.operation.sleeps:
            self.locks_are_free(where)
            return self.stage.perform(call)
        actor = self.stage.act(call)
        self.wait(f"{where}, {call.text}", lambda: actor.back)
        return actor.answer

    def _own(self, name: str, call: Call, where: str) -> Any:
        if name == "settle":
            return self.settle()
        if name in ("blocked", "returned", "joined"):
            return self._of_actor(name, call, where)
        if call.operation.parameters[0] == "worker":
            self.locks_are_free(where)
            return self._of_worker(name, *call.arguments)
        return self._of_work(name, call, where)

    def _of_actor(self, name: str, call: Call, where: str) -> Any:
        actor = self.actors[call.arguments[0]]
        if name == "joined":
            return self.wait(f"{where}, {call.text}", lambda: actor.back)
        if name == "returned":
            return self.pass_time(lambda: actor.back, HANG)
        self.settle()
        return not actor.back

    def _of_worker(self, name: str, who: str, *more: Any) -> Any:
        if name == "kthread_run":
            return self.stage.start_thread(who, more[0] if more else who)
        if name == "wake_up_process":
            return wake_up_process(self.stage.workers[who].item.task)
        if name == "kthread_init_worker":
            return self.stage.reinitialise(name, who)
        if name == "check_wakings":
            thread = self.stage.workers[who].thread
            count = self.woken.count(thread)
            self.woken = [task for task in self.woken if task is not thread]
            return count
        if name == "rescue":
            return rescue(self.stage, who, *more)
        return look(self.stage, name, who)

    def _of_work(self, name: str, call: Call, where: str) -> Any:
        who, *more = call.arguments
        work = self.stage.works[who]
        if name == "state_work":
            self.locks_are_free(where)
            return look(self.stage, name, who)
        if name == "open_gate":
            return work.gate.complete()
        if name == "started":
            work.starts_awaited += 1
            return self.wait(f"{where}, {call.text}", lambda: work.starts >= work.starts_awaited)
        if name == "ended":
            work.ends_awaited += 1
            return self.wait(f"{where}, {call.text}", lambda: work.ends >= work.ends_awaited)
        about_to_look(self.runtime)
        if name == "kthread_init_work":
            return self.stage.reinitialise(name, who)
        if name == "stop_requeueing":
            work.stopped = True
            return None
        starts, ends = work.starts, work.ends
        checks: dict[str, Callable[[], Any]] = {
            "check_runs": lambda: starts,
            "check_ended": lambda: ends > work.ends_awaited,
            "check_stuck": lambda: not self.pass_time(lambda: work.ends > work.ends_awaited, *more),
            "check_runs_again": lambda: self.pass_time(lambda: work.starts > starts, *more),
            "check_true_returns_equal_runs": lambda: work.queued == starts,
        }
        return checks[name]()


def _warnings(lines: list[str]) -> list[str]:
    """The functions that warned; each place once, as the kernel's WARN_ON_ONCE. An oops stays whole."""
    unique = dict.fromkeys(lines)
    return [
        line.removeprefix("WARNING: ").partition(":")[0] if line.startswith("WARNING: ") else line for line in unique
    ]
