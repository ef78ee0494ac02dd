"""What is on stage while a scenario plays: workers and works as specified, actors, and what each of them is doing.

Everything is made of the current runtime's primitives: an actor is a kthread, a gate is a completion. The functions
of the worker are looked up by name in `subject`, which is `kwlab.worker` or a variant of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from kwlab import worker as the_worker
from kwlab.kthread import kthread_run, kthread_stop
from kwlab.scenario.format import Call, Scenario, WorkerSpec, WorkSpec
from kwlab.sched import Task, current, init_completion, sched_set_fifo, sched_set_fifo_low, set_user_nice
from kwlab.struct import freed, kfree
from kwlab.timer import msleep

__all__ = ["Actor", "Stage", "StagedWork", "StagedWorker", "Unavailable", "about_to_look", "about_to_note"]


class Unavailable(Exception):
    """This machine refuses what the scenario's set-up needs (a CPU, a privilege)."""


@dataclass
class StagedWorker:
    name: str
    item: Any  # the KthreadWorker
    thread: Task | None  # the thread started last, which the worker itself forgets when it ends


class StagedWork:
    """A work, its gate, and counts of what its function did. Only the thread that runs it writes the counts."""

    def __init__(self, spec: WorkSpec, subject: ModuleType, function: Callable[["StagedWork"], None]) -> None:
        self.name, self.spec = spec.name, spec
        self.starts = self.ends = 0
        self.starts_awaited = self.ends_awaited = 0  # how many of them started() and ended() have taken
        self.queued = 0  # calls that returned true
        self.stopped = False
        self.gate = init_completion(f"gate of {spec.name}")
        self.item = subject.KthreadDelayedWork() if spec.delayed else subject.KthreadWork()
        self.function = lambda work: function(self)
        initialise = subject.kthread_init_delayed_work if spec.delayed else subject.kthread_init_work
        initialise(self.item, self.function)
        self.work = self.item.work if spec.delayed else self.item
        self.timer = self.item.timer if spec.delayed else None


@dataclass
class Actor:
    """One call, made by a thread of its own."""

    name: str
    call: Call
    answer: Any = None
    back: bool = False
    reported: bool = False


def about_to_look(runtime: Any) -> None:
    """To be called before the main thread looks at what others may be changing at that moment, or changes that."""
    if (look := getattr(runtime, "look", None)) is not None:
        look()


def about_to_note(runtime: Any) -> None:
    """To be called before a task writes into a list that others write into as well: the order counts."""
    if (common := getattr(runtime, "common", None)) is not None:
        common()


class Stage:
    def __init__(self, scenario: Scenario, subject: ModuleType = the_worker) -> None:
        self.scenario, self.subject = scenario, subject
        self.runtime = current().runtime
        self.doing: dict[Task, str] = {}
        self.order: list[str] = []
        self.inside: list[dict[str, Any]] = []
        self.failures: list[str] = []
        self.works = {name: StagedWork(spec, subject, self._run_work) for name, spec in scenario.works.items()}
        self.workers: dict[str, StagedWorker] = {}

    def make_workers(self) -> None:
        """Make the workers, with their threads. Errors: `Unavailable`."""
        for spec in self.scenario.workers.values():
            self.workers[spec.name] = self._make_worker(spec)

    def _make_worker(self, spec: WorkerSpec) -> StagedWorker:
        subject = self.subject
        if spec.made_by == "kthread_init_worker":
            worker = subject.KthreadWorker()
            subject.kthread_init_worker(worker)
            return StagedWorker(spec.name, worker, None)
        on_cpu = "" if spec.cpu is None else "_on_cpu"
        make = getattr(subject, spec.made_by + on_cpu)
        made = None
        try:
            if on_cpu:
                made = make(spec.cpu, spec.flags, spec.thread_name)
            else:
                made = make(spec.flags, "%s", spec.thread_name)
            task: Task = made.task
            self.workers[spec.name] = StagedWorker(spec.name, made, task)
            if spec.sched:
                {"fifo": sched_set_fifo, "fifo_low": sched_set_fifo_low}[spec.sched](task)
            if spec.nice is not None:
                set_user_nice(task, spec.nice)
        except OSError as error:
            raise Unavailable(f"worker {spec.name}: {error}") from None
        return self.workers[spec.name]

    # -------------------------------------------------------------------------------------------------------- the works

    def name_at(self, address: int) -> str | None:
        """The name of the work at an address. (No table of addresses is kept: to the explorer, equal states with
        different ones would be different states.)"""
        return next((staged.name for staged in self.works.values() if id(staged.work) == address), None)

    def _run_work(self, staged: StagedWork) -> None:
        """The function of every work."""
        me, spec = current(), staged.spec
        about_to_note(self.runtime)
        staged.starts += 1
        run = staged.starts
        if not spec.quiet:
            self.order.append(spec.name)
        if spec.gated:
            self.doing[me] = f"in {spec.name}, at its gate"
            staged.gate.wait()
        for call in (*spec.runs.get(run, ()), *spec.every):
            if staged.stopped and call in spec.every:
                break
            self.doing[me] = f"in {spec.name}, in {call.text}"
            answer = self.perform(call)
            if call.compared:
                about_to_note(self.runtime)
                self.inside.append(record(me.name, call, answer) | {"work": f"{spec.name}#{run}"})
        staged.ends += 1
        self.doing.pop(me, None)

    # ------------------------------------------------------------------------------------------------------- the actors

    def act(self, call: Call) -> Actor:
        """Have a thread of its own make `call`."""
        actor = Actor(call.by, call)

        def body(actor: Actor) -> None:
            me = current()
            self.doing[me] = f"in {call.text}"
            for _ in range(call.times):
                actor.answer = self.perform(call)
            self.doing.pop(me, None)
            actor.back = True

        kthread_run(body, actor, "%s", call.by)
        return actor

    # ----------------------------------------------------------------------------------------------- the kernel's calls

    def perform(self, call: Call) -> Any:
        """Make one of the kernel's calls in the current task."""
        return self.guarded(call, lambda: self._perform(call.operation.name, call.arguments))

    def guarded(self, call: Call, what: Callable[[], Any]) -> Any:
        """The answer of `what()`. An exception is an answer, too ("raised ..."), a failure if nobody compares it."""
        try:
            return what()
        except Exception as error:
            raised = f"raised {type(error).__name__}: {error}"
            if not call.compared:
                about_to_note(self.runtime)
                self.failures.append(f"{call.text} (step {call.number} there): {raised}")
            return raised

    def _perform(self, name: str, arguments: tuple[Any, ...]) -> Any:
        first = arguments[0]
        if name == "msleep":
            return msleep(first)
        if name == "kfree":
            return kfree(self.works[first].item)
        if name == "kthread_stop":
            thread = self.workers[first].thread
            if thread is None:
                raise RuntimeError(f"{first} has no thread that was started by this scenario")
            return kthread_stop(thread)
        function = getattr(self.subject, name)
        if name in ("kthread_flush_worker", "kthread_destroy_worker"):
            return function(self.workers[first].item)
        work = self.works[first]
        item = work.item if "delayed" in name else work.work
        if name.startswith("kthread_queue") or name.startswith("kthread_mod"):
            queued = function(self.workers[arguments[1]].item, item, *arguments[2:])
            if queued is True:
                work.queued += 1
            return queued
        return function(item)

    def reinitialise(self, name: str, who: str) -> None:
        """kthread_init_work or kthread_init_worker, again."""
        if name == "kthread_init_worker":
            self.subject.kthread_init_worker(self.workers[who].item)
            return
        staged = self.works[who]
        self.subject.kthread_init_work(staged.work, staged.function)

    def start_thread(self, who: str, thread_name: str) -> None:
        """Run kthread_worker_fn for a worker in a new thread."""
        worker = self.workers[who]
        worker.thread = kthread_run(self.subject.kthread_worker_fn, worker.item, "%s", thread_name)

    def live_workers(self) -> list[StagedWorker]:
        """The workers that were not freed."""
        return [worker for worker in self.workers.values() if not freed(worker.item)]


def record(by: str, call: Call, answer: Any) -> dict[str, Any]:
    """A call as recordings have it."""
    return {"by": by, "op": call.operation.name, "args": list(call.arguments), "ret": answer}
