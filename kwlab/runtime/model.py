"""The runtime of the model: one execution of a program whose every interleaving is somebody's choice.

The very same source that runs on real threads runs here, one task at a time. Before each operation a task announces
it and asks `choose` which of all enabled tasks goes on; chosen itself it simply goes on, else control goes straight
to the other. There is no time but virtual time, and nothing else that could differ from run to run: the list of the
chosen tasks' numbers, `schedule`, is the execution.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from sys import exception
from types import TracebackType
from typing import Any, Literal, NoReturn

from kwlab.runtime import reports
from kwlab.runtime.base import TimerInterrupt, local
from kwlab.runtime.carriers import Abandon, Carriers
from kwlab.runtime.model_clock import Device, ModelClock
from kwlab.runtime.model_objects import ModelBits, ModelCompletion, ModelSpinLock, ModelTask
from kwlab.runtime.model_ops import DEVICE, EXIT, LOCK, LOOKS, NAMES, READ, SCHEDULE, SPAWN, WAIT, WRITE
from kwlab.runtime.states import TASK_DEAD, TASK_UNINTERRUPTIBLE

__all__ = ["Ending", "ForeignThreadError", "ModelRuntime"]

# Of the enabled tasks (never none) and the one that asks: who goes on. None ends the execution ("pruned").
Choose = Callable[[list[ModelTask], ModelTask], ModelTask | None]
# Called as ``observer(task, op, target, result)`` right after an operation.
Observer = Callable[[ModelTask, int, Any, Any], None]

KEYS = 64  # how many things of its own an object can have that operations collide on: the bits of a word
STUBBORN = 100  # how often a task may swallow `Abandon` before it is left where it is


def described(error: BaseException) -> str:
    """Type and first line of an exception."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]


class ForeignThreadError(RuntimeError):
    """A thread outside the model touched an object of the model."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How an execution ended: a `kind` and a `sentence`, and in which task if it was one that did it.

    Kinds: ``done`` (nothing left to do), ``stuck`` (tasks sleep or wait, nobody can go on), ``error`` (an exception
    left a task), ``endless`` and ``soft lockup`` (the step limit), ``pruned`` (not wanted any more), ``diverged`` (it
    did not do what `ModelRuntime.follow` expects), or what `ModelRuntime.fail` was told.
    """

    kind: str
    sentence: str = ""
    task: ModelTask | None = None
    error: BaseException | None = None


DONE, STUCK, PRUNED = Ending("done"), Ending("stuck"), Ending("pruned")


class ModelLog(reports.KernelLog):
    """Writing into it and reading it have no scheduling point of their own, but their order counts."""

    def __init__(self, runtime: "ModelRuntime") -> None:
        super().__init__()
        self.runtime = runtime
        self.key = runtime.new_key()

    def append(self, line: str) -> None:
        self.runtime.aside(WRITE, self.key)
        super().append(line)

    def read(self, clear: bool = False) -> list[str]:
        self.runtime.aside(WRITE, self.key)
        return super().read(clear)


class ModelRuntime:
    """One execution. Make one, `run` a function once, look at `ending` and `schedule`."""

    # Slots: a step asks for much of it, and Python has no short cut to so many attributes in a dictionary.
    __slots__ = (
        "__weakref__",
        "_decided",
        "_field_keys",
        "_freeze",
        "_hand_over",
        "_planned",
        "_stopping",
        "_swallowed",
        "all_tasks",
        "asides",
        "born",
        "carriers",
        "choose",
        "clock",
        "common",
        "crash",
        "current_carrier",
        "ended_at",
        "ending",
        "every_step",
        "extra_state",
        "key",
        "keys",
        "limit",
        "live",
        "lock_order",
        "log",
        "look",
        "monitor",
        "new_key",
        "observer",
        "on_deadlock",
        "operations",
        "result",
        "running",
        "schedule",
        "settle",
        "stores",
        "timer_base",
        "warnings_end",
    )
    reports_forgotten = False

    def __init__(
        self,
        choose: Choose,
        carriers: Carriers,
        *,
        every_step: bool = False,
        limit: int = 10_000,
        observer: Observer | None = None,
        warnings_end: bool = True,
    ) -> None:
        """`every_step`: ask `choose` even if only one task is enabled. `limit`: steps until an execution is given up.
        `warnings_end`: a kernel WARN is a bug and ends the execution; else it is noted as on real threads."""
        self.choose = choose
        self.carriers = carriers
        self.every_step = every_step
        self.limit = limit
        self.observer = observer
        self.warnings_end = warnings_end
        self.keys = count(0, KEYS)
        self.new_key = self.keys.__next__
        self.key = self.new_key()  # of the task list
        self.on_deadlock: Literal["raise", "wait"] = "wait"
        self.timer_base: Any = None
        self.log = ModelLog(self)
        self.clock = ModelClock(self)
        self.all_tasks: list[ModelTask] = []  # by number
        self.live: list[ModelTask] = []
        self.running: ModelTask | None = None
        self.schedule: list[int] = []
        self.operations: list[int] = []  # what was announced by those in `schedule`
        self.asides: list[tuple[int, Any]] = []  # (op, target) of what no operation announced, in order
        self._field_keys: dict[tuple[int, str], tuple[int, Any]] = {}
        self._planned: list[int] = []
        self._decided = 0
        self.ending: Ending | None = None
        self.ended_at: TracebackType | None = None  # where `fail` was called, if that ended it
        self.crash: BaseException | None = None
        self.result: object = None  # what the scenario returned
        self.monitor: Any = None  # of invariants, see `kwlab.explore.invariants`
        self.stores: Any = None  # the store buffers of a weaker memory, see `kwlab.explore.tso`
        self.lock_order: Any = None  # see `kwlab.explore.lockdep`
        self.extra_state: list[Callable[[], object]] = []  # what else the future depends on
        self.born: Callable[[ModelTask], object] | None = None  # called with every new task
        self._freeze = ModelBits(self)
        self._stopping = False
        self._swallowed = 0
        self._hand_over = carriers.hand_over
        self.current_carrier = carriers.current

    # ------------------------------------------------------------------------------------------------- one execution

    def run(self, main: Callable[[], object], inspect: Callable[[Ending], object] | None = None) -> Ending:
        """Run ``main()`` as task 0 and all it starts, until nothing is left to do; once only.

        `inspect` is called with the ending while every task still is where it stopped.
        """
        if self.all_tasks:
            raise RuntimeError("a ModelRuntime runs once: make another one")
        here = local.__dict__
        outer = here.copy()
        task = self._new_task(main, "main")
        local.runtime = self
        try:
            self.running = task
            self.carriers.run(task)
            self.running = None
            if self.crash is None and len(self.schedule) < self._decided:
                self.ending = self._diverged(len(self.schedule))
            if inspect is not None and self.crash is None and self.ending is not None:
                inspect(self.ending)
        finally:
            self._abandon_all()
            here.clear()
            here.update(outer)
            if reports.noted:
                reports.noted[:] = [entry for entry in reports.noted if getattr(entry[0], "runtime", None) is not self]
        if self.crash is not None:
            raise self.crash
        assert self.ending is not None
        return self.ending

    def follow(self, schedule: list[int], operations: list[int]) -> None:
        """Before `run`: begin with these steps, of an earlier execution, without asking `choose`.

        If a task is about to do another operation than it did then, the execution ends as ``diverged``.
        """
        self._planned, self._decided, self.operations = schedule, len(schedule), operations[:]

    def _diverged(self, step: int) -> Ending:
        return Ending("diverged", f"step {step} was a {NAMES[self.operations[step]]} and now is none")

    def live_through(self, task: ModelTask) -> ModelTask | None:
        """All of a task's life, called on its carrier; returns who goes on (None: the hub)."""
        try:
            result = task.entry()
            if not task.id:
                self.result = result
            self.announce(EXIT, task)
        except Abandon as error:
            if self.ending is not None and self.ending.task is task and self.ended_at is None:
                self.ended_at = error.__traceback__
            return None
        except BaseException as error:
            if not self._is_left(error) and not self._stopping:
                self._end(Ending("error", f"{task.name}: {described(error)}", task, error))
            return None
        if self._stopping:
            return None
        if self.stores is not None:
            self.stores.drain(task)
        task._state = TASK_DEAD
        self.live.remove(task)
        if self.observer is not None:
            self.observer(task, EXIT, task, None)
        following = self._next(task)
        self.running = following
        return following

    def _abandon_all(self) -> None:
        self._stopping = True
        self.running = None
        for task in self.all_tasks:
            if task.carrier is not None:
                self._swallowed = 0
                self.carriers.abandon(task)

    def announce(self, op: int, target: Any, argument: Any = None) -> ModelTask:
        """A scheduling point: the running task is about to do `op`. Returns it once it is chosen to."""
        # Python is slow at thread-local attributes, and at calls of attributes that are no methods: none here.
        me, current_carrier = self.running, self.current_carrier
        if me is None or current_carrier() is not me.carrier:
            self._refuse()
        me.op = op
        me.target = target
        me.argument = argument
        following = self._next(me)
        if following is not me:
            if exception() is not None and self._is_left(exception()):
                following = None
            self.running = following
            hand_over = self._hand_over
            hand_over(me, following)
        return me

    def _next(self, me: ModelTask) -> ModelTask | None:
        """Who goes on; None, with `ending` or `crash` set, if the execution is over."""
        schedule = self.schedule
        step = len(schedule)
        if step < self._decided:
            tasks = self.all_tasks
            number = self._planned[step]
            if number >= len(tasks) or tasks[number].op != self.operations[step]:
                self.ending = self._diverged(step)
                return None
            following = tasks[number]
        else:
            # Here and not in a function of its own: this is asked at every step.
            enabled = []
            for task in self.live:
                op = task.op
                if not op:  # LOCK: the quickest question first
                    if task.target.owner is None:
                        enabled.append(task)
                elif op > DEVICE:
                    enabled.append(task)
                elif op == SCHEDULE:
                    if not task._state:
                        enabled.append(task)
                elif op == WAIT:
                    if task.target.count:
                        enabled.append(task)
                elif task.target.ready():
                    enabled.append(task)
            if step >= self.limit or not enabled:
                self.ending = self._over(enabled, me)
                return None
            if len(enabled) > 1 or self.every_step:
                choose = self.choose
                try:
                    chosen = choose(enabled, me)
                except BaseException as error:
                    self.crash = error
                    return None
                if chosen is None:
                    self.ending = self.ending or PRUNED
                    return None
                following = chosen
            else:
                following = enabled[0]
            number = following.id
            self.operations.append(following.op)
        schedule.append(number)
        following.last_step = step
        return following

    def _over(self, enabled: list[ModelTask], me: ModelTask) -> Ending:
        """The ending where nobody can go on, or the step limit is reached."""
        if not enabled:
            return STUCK if any(not task.is_device for task in self.live) else DONE
        return self._endless(me)

    def _is_left(self, error: BaseException | None) -> bool:
        """True, with `crash` set, if `error` is what the handler of a signal raised (Ctrl-C, a time limit), or came up
        on its way out of the task. That is nobody's bug, and the steps it comes past, such as a kthread's last, belong
        to no execution. (The task itself may take some, and nothing comes of it: this is asked where it hands over.)
        """
        while isinstance(error, (Exception, GeneratorExit, Abandon)):
            error = error.__context__
        if error is not None:
            self.crash = error
        return error is not None

    def _endless(self, task: ModelTask) -> Ending:
        """The step limit is reached. Who took all of the second half without a pause keeps the others waiting."""
        half = self.limit // 2
        others = any(
            other is not task
            and not other.is_device
            and (other.op > DEVICE or other.op == LOCK or (other.op == SCHEDULE and not other._state))
            for other in self.live
        )
        alone = task.yielded < half and all(number == task.id for number in self.schedule[half:])
        # Who only looks, again and again, waits for one of the others, and nothing keeps those from going on.
        if others and alone and not LOOKS.issuperset(self.operations[half:]):
            why = "no schedule(), no cond_resched(), and others wait for the CPU"
            return Ending("soft lockup", f"{task.name} goes on and on and never gives way: {why}", task)
        return Ending("endless", f"still going on after {self.limit} steps", task)

    def _refuse(self) -> NoReturn:
        me = getattr(local, "task", None)
        if isinstance(me, ModelTask) and me.runtime is self and self._stopping:
            self._swallowed += 1
            if self._swallowed > STUBBORN:
                self._hand_over(me, None)
            raise Abandon
        if self.running is None:
            raise ForeignThreadError(
                "this object belongs to an exploration that is over: make workers, locks and works inside the scenario"
            )
        raise ForeignThreadError(
            "a thread outside the exploration touched an object of the model: start threads of a scenario with "
            "kthread_run(), and make what they share inside the scenario"
        )

    def fail(self, kind: str, sentence: str, error: BaseException | None = None) -> None:
        """The running task did what must not happen: the execution ends here, whatever the task catches."""
        if self._stopping:
            return
        if self.running is None or getattr(local, "task", None) is not self.running:
            self._refuse()
        left = self._is_left(exception())
        self._end(Ending("interrupted") if left else Ending(kind, sentence, self.running, error))
        raise Abandon

    def _end(self, ending: Ending) -> None:
        self.ending = ending
        self._stopping = True
        self.running = None

    def refuse_to_sleep(self, task: ModelTask, what: str) -> None:
        """`task` is about to sleep where it must not."""
        if task.is_device:
            why = "in a timer callback"
        else:
            why = "while holding " + ", ".join(lock.name for lock in task.held)
        self.fail("sleeping while atomic", f"{task.name} calls {what} {why}: it must not sleep there")

    # ------------------------------------------------------------------------------------------- the runtime protocol

    def spin_lock(self, name: str) -> ModelSpinLock:
        kind = self.lock_order.classify(sys._getframe(1)) if self.lock_order is not None else None
        return ModelSpinLock(self, name, kind)

    def completion(self, name: str) -> ModelCompletion:
        return ModelCompletion(self, name)

    def bits(self) -> ModelBits:
        return ModelBits(self)

    def spawn(self, entry: Callable[[], None], name: str) -> ModelTask:
        task = self._new_task(entry, name)
        task._state = TASK_UNINTERRUPTIBLE
        task.kept = []
        self.aside(SPAWN, self)
        if self.observer is not None and self.running is not None:
            self.observer(self.running, SPAWN, task, None)
        return task

    def _new_task(self, entry: Callable[[], object], name: str) -> ModelTask:
        task = ModelTask(self, len(self.all_tasks), name, entry)
        if self.running is not None:
            task.born = self.running.last_step
        self.all_tasks.append(task)
        self.live.append(task)
        if self.born is not None:
            self.born(task)
        return task

    def attach(self, device: Device) -> ModelTask:
        """Make a task of `device`: from now on it acts whenever it is ready and chosen."""
        task = self._new_task(device.live, device.name)
        task.op, task.target, task.is_device, task.kept = DEVICE, device, True, []
        return task

    def aside(self, op: int, target: Any) -> None:
        """The running task does `op` without being asked for: it is part of the step that it is in."""
        if self.running is not None:
            self.asides.append((op, target))

    def field_aside(self, op: int, struct: Any, field: str) -> None:
        """As `aside`, for a look at a field or a store to it."""
        known = self._field_keys.get((id(struct), field))
        key = known[0] if known is not None else self.field_key(struct, field)
        if len(self.schedule) > self._decided:  # what is only followed is known already
            self.asides.append((op, key))

    def field_keys(self) -> dict[int, list[Any]]:
        """The fields that have keys, and these, by `id` of their struct."""
        found: dict[int, list[Any]] = {}
        for (where, field), (key, _) in self._field_keys.items():
            found.setdefault(where, []).append((field, key))
        return {where: [part for entry in sorted(keys) for part in entry] for where, keys in found.items()}

    def field_key(self, struct: Any, field: str) -> int:
        """The key of a struct's field. (The struct is kept: a number of `id` must not come again.)"""
        known = self._field_keys.get((id(struct), field))
        if known is None:
            known = self._field_keys[id(struct), field] = (self.new_key(), struct)
        return known[0]

    def tasks(self) -> list[Any]:
        if self.running is not None:
            self.announce(READ, self)
        return [task for task in self.all_tasks[1:] if not task.is_device and task.state != TASK_DEAD]

    def set_affinity(self, task: Any, cpus: frozenset[int]) -> None:
        """Every task of the model has a CPU of its own, so where it is bound changes nothing."""

    def set_nice(self, task: Any, nice: int) -> None:
        """No order of the tasks is excluded, whatever their priorities."""

    def set_fifo(self, task: Any, priority: int) -> None:
        """As `set_nice`."""

    @property
    def freeze_in_progress(self) -> bool:
        return self._freeze.test_bit(0)

    @freeze_in_progress.setter
    def freeze_in_progress(self, value: bool) -> None:
        if value:
            self._freeze.set_bit(0)
        else:
            self._freeze.clear_bit(0)

    def jiffies(self) -> int:
        return self.clock.jiffies()

    def program_timer(self, expires: int | None, interrupt: TimerInterrupt) -> None:
        self.clock.program(expires, interrupt)

    def warn(self, message: str) -> None:
        if self._stopping:
            return  # what an abandoned task does on its way out did not happen
        self.printk(f"WARNING: {message}")
        if self.warnings_end:
            self.fail("kernel warning", message)
        reports.note(local.task, message)

    def oops(self, message: str, error: BaseException) -> None:
        if isinstance(error, Abandon):
            raise error
        if self._is_left(error):
            self._end(Ending("interrupted"))
            raise Abandon
        self.printk(f"{message}: {described(error)}")
        self.fail("error", f"{message}: {described(error)}", error)

    def printk(self, message: str) -> None:
        self.log.append(message)
