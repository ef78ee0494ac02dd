"""The model's task, spinlock, completion and flag bits.

Each operation announces itself, is chosen at some time, and then acts at once: from one announcement to the next
nothing else happens. An unlock is no announcement (see `model_ops`).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kwlab.errors import UseAfterFree
from kwlab.runtime.base import Task, local, probes
from kwlab.runtime.model_ops import (
    COMPLETE,
    HOLD,
    LOCK,
    READ,
    READ_STATE,
    SCHEDULE,
    SET_BIT,
    SET_STATE,
    STORE_STATE,
    TEST_BIT,
    TEST_COMPLETION,
    UNLOCK,
    WAIT,
    WAKE,
    WRITE,
)
from kwlab.runtime.states import MAX_COMM, PF_NOFREEZE, TASK_DEAD, TASK_RUNNING, task_state_to_char

if TYPE_CHECKING:
    from kwlab.runtime.model import ModelRuntime

__all__ = ["ModelBits", "ModelCompletion", "ModelSpinLock", "ModelTask", "unobserved"]


class ModelTask:
    """One task of the model: `id` is its number in schedules, `op`, `target` and `argument` what it announced."""

    __slots__ = (
        "__weakref__",
        "_flags",
        "_state",
        "_usage",
        "argument",
        "born",
        "carrier",
        "entry",
        "epoch",
        "held",
        "id",
        "irqs_off",
        "is_device",
        "kept",
        "key",
        "kthread",
        "last_step",
        "name",
        "op",
        "runtime",
        "target",
        "unseen",
        "yielded",
    )

    def __init__(self, runtime: "ModelRuntime", number: int, name: str, entry: Callable[[], object]) -> None:
        self.runtime = runtime
        self.id = number
        self.name = name
        self.entry = entry
        self._state = TASK_RUNNING
        self._flags = PF_NOFREEZE
        self._usage = 0
        self.op = SCHEDULE
        self.target: Any = self
        self.argument: Any = None
        self.held: list[ModelSpinLock] = []  # in the order in which they were taken
        self.carrier: Any = None  # the coroutine it runs in, once it runs
        self.is_device = False
        self.irqs_off = 0
        self.kthread: Any = None
        self.kept: list[str] | None = None
        self.key = runtime.new_key()
        self.born = 0  # the step in which it was spawned
        self.last_step = 0  # the step in which it was chosen last
        self.yielded = 0  # the step of its last voluntary pause
        self.epoch: Any = None  # what a race detector keeps of it
        self.unseen = 0  # in how many `unobserved` blocks it is

    @property
    def buffer_key(self) -> int:
        """The key of the buffer in which its stores wait, under a memory that has one."""
        return self.key + 2

    @property
    def pid(self) -> int:
        return self.id

    @property
    def comm(self) -> str:
        return self.name[:MAX_COMM]

    @property
    def state(self) -> int:
        runtime = self.runtime
        me = runtime.announce(READ_STATE, self)
        state: int = self._state if runtime.stores is None else runtime.stores.get(me, self, "_state")
        return state

    @state.setter
    def state(self, value: int) -> None:
        runtime = self.runtime
        me = runtime.announce(STORE_STATE, self, value)
        if runtime.stores is None:
            self._state = value
        else:
            runtime.stores.put(me, self, "_state", value)
        if (epoch := self.epoch) is not None:
            epoch.wakers = ()  # a wake-up that the task has not come back from is undone
        if (observer := runtime.observer) is not None:
            observer(me, STORE_STATE, self, value)

    @property
    def flags(self) -> int:
        # Only the task itself changes them once it runs, so only others have to announce a look.
        if self.runtime.running is not self:
            self.runtime.announce(READ_STATE, self)
        return self._flags

    @flags.setter
    def flags(self, value: int) -> None:
        self.runtime.announce(STORE_STATE, self)  # no state is stored, so there is none to be told
        self._flags = value

    @property
    def usage(self) -> int:
        return self._usage

    @usage.setter
    def usage(self, value: int) -> None:
        self.runtime.aside(HOLD, self)
        self._usage = value

    def set_current_state(self, state: int) -> None:
        runtime = self.runtime
        me = runtime.announce(SET_STATE, self, state)
        if runtime.stores is not None:
            runtime.stores.drain(me)
        self._state = state
        if (epoch := self.epoch) is not None:
            epoch.wakers = ()  # a wake-up that the task has not come back from is undone
        if (observer := runtime.observer) is not None:
            observer(me, SET_STATE, self, state)

    def schedule(self) -> None:
        runtime = self.runtime
        if self.held or self.is_device:
            runtime.refuse_to_sleep(self, "schedule()")
        if runtime.stores is not None and runtime.stores.pending(self):
            # Others may come before what was stored is seen at last.
            runtime.announce(SET_STATE, self, runtime.stores.get(self, self, "_state"))
            runtime.stores.drain(self)
        self.yielded = len(runtime.schedule)
        me = runtime.announce(SCHEDULE, self)
        if (epoch := me.epoch) is not None:
            epoch.returned()
        if (observer := runtime.observer) is not None:
            observer(me, SCHEDULE, self, None)

    def wake_up(self, states: int) -> int:
        runtime = self.runtime
        me = runtime.announce(WAKE, self, states)
        if runtime.stores is not None:
            runtime.stores.drain(me)  # before the look: what it stored itself counts
        if probes:
            for probe in probes:
                probe("sched_waking", self, {"state": task_state_to_char(self._state)})
        if self._state == TASK_DEAD and not self._usage:
            raise UseAfterFree(f"use after free: wake-up of task {self.name!r}, which has exited")
        if self._state & states:
            self._state = TASK_RUNNING
            woken = 1
        else:
            woken = 0
        if woken and (epoch := me.epoch) is not None:
            epoch.woke(self)
        if (observer := runtime.observer) is not None:
            observer(me, WAKE, self, woken)
        return woken

    def cond_resched(self) -> None:
        """Somebody else may be chosen before any operation anyway; only the pause is noted."""
        self.yielded = len(self.runtime.schedule)

    def read_once(self, struct: Any, field: str) -> Any:
        runtime = self.runtime
        runtime.field_key(struct, field)
        me = runtime.announce(READ, struct, field)
        with unobserved(me):  # as a plain access
            value = getattr(struct, field) if runtime.stores is None else runtime.stores.get(me, struct, field)
        if (epoch := me.epoch) is not None:
            epoch.read_once(struct, field)
        if (observer := runtime.observer) is not None:
            observer(me, READ, struct, field)
        return value

    def write_once(self, struct: Any, field: str, value: Any) -> None:
        runtime = self.runtime
        runtime.field_key(struct, field)
        me = runtime.announce(WRITE, struct, field)
        if runtime.stores is not None:
            runtime.stores.put(me, struct, field, value)
        else:
            with unobserved(me):
                setattr(struct, field, value)
        if (epoch := me.epoch) is not None:
            epoch.wrote_once(struct, field)
        if (observer := runtime.observer) is not None:
            observer(me, WRITE, struct, field)

    def freezing(self) -> bool:
        return not self.flags & PF_NOFREEZE and self.runtime.freeze_in_progress

    def __repr__(self) -> str:
        return f"<task {self.name} id={self.id} {task_state_to_char(self._state)}>"


class unobserved:
    """While the block runs, what `task` looks at is nothing that it does: for strategies and observers."""

    __slots__ = ("epoch", "task")

    def __init__(self, task: ModelTask) -> None:
        self.task = task

    def __enter__(self) -> None:
        self.epoch, self.task.epoch = self.task.epoch, None
        self.task.unseen += 1

    def __exit__(self, *error: object) -> None:
        self.task.epoch = self.epoch
        self.task.unseen -= 1


class ModelSpinLock:
    """A spinlock whose holder is a task of the model."""

    __slots__ = ("handed", "key", "kind", "name", "owner", "released", "runtime")
    ABOUT_THE_PAST = ("handed", "key", "released")  # no part of the state

    def __init__(self, runtime: "ModelRuntime", name: str, kind: Any = None) -> None:
        self.runtime = runtime
        self.name = name
        self.kind = kind  # its class, for lockdep
        self.key = runtime.new_key()
        self.owner: ModelTask | None = None
        self.handed: Any = None  # what a race detector keeps of it
        self.released = -1  # the step in which it was released last

    @property
    def free(self) -> bool:
        return self.owner is None

    def acquire(self) -> None:
        runtime = self.runtime
        if self.owner is not None and self.owner is runtime.running:
            runtime.fail(
                "recursive lock", f"{self.owner.name} takes {self.name}, which it holds already: it spins for ever"
            )
        me = runtime.announce(LOCK, self)
        self.owner = me
        held = me.held
        held.append(self)
        if len(held) > 1 and runtime.lock_order is not None:
            runtime.lock_order.taken(me, self)
        if probes:
            for probe in probes:
                probe("lock_acquire", self, {})
        if (epoch := me.epoch) is not None:
            epoch.acquired(self)
        if (observer := runtime.observer) is not None:
            observer(me, LOCK, self, None)

    __enter__ = acquire

    def release(self, kind: object = None, error: object = None, traceback: object = None) -> None:
        runtime = self.runtime
        me, current_carrier = self.owner, runtime.current_carrier
        if me is None or current_carrier() is not me.carrier:
            caller = getattr(local, "task", None)
            runtime.fail("locking", f"{getattr(caller, 'name', 'nobody')} releases {self.name}, which it does not hold")
            return
        if probes:
            for probe in probes:
                probe("lock_release", self, {})
        me.held.remove(self)
        self.owner = None
        self.released = me.last_step
        if (epoch := me.epoch) is not None:
            epoch.released(self)
        if (observer := runtime.observer) is not None:
            observer(me, UNLOCK, self, None)

    __exit__ = release

    def assert_held(self) -> None:
        if self.owner is not self.runtime.running:
            holder = f"task {self.owner.name!r} holds it" if self.owner is not None else "nobody holds it"
            self.runtime.fail("locking", f"spinlock {self.name!r} must be held here; {holder}")

    @property
    def holder(self) -> Task | None:
        return self.owner

    def __repr__(self) -> str:
        return f"<spinlock {self.name} {'held by ' + self.owner.name if self.owner else 'free'}>"


class ModelCompletion:
    """``struct completion``; a wait is one operation, possible while there is one to take."""

    __slots__ = ("count", "handed", "key", "name", "runtime")
    ABOUT_THE_PAST = ("handed", "key")

    def __init__(self, runtime: "ModelRuntime", name: str) -> None:
        self.runtime = runtime
        self.key = runtime.new_key()
        self.name = name
        self.handed: Any = None  # what a race detector keeps of it
        self.count: float = 0

    def complete(self) -> None:
        self._add(1)

    def complete_all(self) -> None:
        self._add(float("inf"))

    def _add(self, count: float) -> None:
        runtime = self.runtime
        me = runtime.announce(COMPLETE, self, count)
        if probes and not self.count:
            self._trace_wakeups(count)
        self.count += count
        if (epoch := me.epoch) is not None:
            epoch.completed(self)
        if (observer := runtime.observer) is not None:
            observer(me, COMPLETE, self, count)

    def _trace_wakeups(self, count: float) -> None:
        # Waiters sleep in the kernel, so completing wakes them there: one, or all.
        waiters = [task for task in self.runtime.live if task.op == WAIT and task.target is self]
        for task in waiters[: 1 if count == 1 else None]:
            for probe in probes:
                probe("sched_waking", task, {"state": "D"})

    def wait(self) -> None:
        runtime = self.runtime
        me = runtime.running
        if me is not None:
            if me.held or me.is_device:
                runtime.refuse_to_sleep(me, f"wait_for_completion({self.name})")
            if runtime.stores is not None:
                runtime.stores.drain(me)
            runtime.aside(READ_STATE, me)
            if me._state:
                runtime.warn(
                    f"wait_for_completion({self.name}) in state {task_state_to_char(me._state)}: "
                    "do not call blocking operations when not TASK_RUNNING"
                )
            me.yielded = len(runtime.schedule)
        me = runtime.announce(WAIT, self)
        self.count -= 1
        # The sleep itself is no step of its own, so neither is the way back from it.
        me._state = TASK_RUNNING
        if (epoch := me.epoch) is not None:
            epoch.took(self)
        if (observer := runtime.observer) is not None:
            observer(me, WAIT, self, None)

    def try_wait(self) -> bool:
        runtime = self.runtime
        me = runtime.announce(TEST_COMPLETION, self, True)
        taken = self.count > 0
        if taken:
            self.count -= 1
        if taken and (epoch := me.epoch) is not None:
            epoch.took(self)
        if (observer := runtime.observer) is not None:
            observer(me, TEST_COMPLETION, self, taken)
        return taken

    def done(self) -> bool:
        runtime = self.runtime
        if runtime.running is None:
            return self.count > 0
        me = runtime.announce(TEST_COMPLETION, self, False)
        done = self.count > 0
        if done and (epoch := me.epoch) is not None:
            epoch.took(self)
        if (observer := runtime.observer) is not None:
            observer(me, TEST_COMPLETION, self, done)
        return done

    def __repr__(self) -> str:
        return f"<completion {self.name} done={self.count}>"


class ModelBits:
    """A word of flag bits; each bit operation is atomic."""

    __slots__ = ("handed", "key", "runtime", "word")
    ABOUT_THE_PAST = ("handed", "key")

    def __init__(self, runtime: "ModelRuntime") -> None:
        self.runtime = runtime
        self.key = runtime.new_key()
        self.handed: Any = None  # what a race detector keeps of it
        self.word = 0

    def test_bit(self, bit: int) -> bool:
        runtime = self.runtime
        me = runtime.announce(TEST_BIT, self, bit)
        value = bool(self.word >> bit & 1)
        if self.handed is not None and (epoch := me.epoch) is not None:
            epoch.tested(self, bit)
        if (observer := runtime.observer) is not None:
            observer(me, TEST_BIT, self, value)
        return value

    def set_bit(self, bit: int) -> None:
        runtime = self.runtime
        me = runtime.announce(SET_BIT, self, bit)
        self.word |= 1 << bit
        if (epoch := me.epoch) is not None:
            epoch.changed(self, bit)
        if (observer := runtime.observer) is not None:
            observer(me, SET_BIT, self, True)

    def clear_bit(self, bit: int) -> None:
        runtime = self.runtime
        # One's complement: the argument must tell setting and clearing apart.
        me = runtime.announce(SET_BIT, self, ~bit)
        self.word &= ~(1 << bit)
        if (epoch := me.epoch) is not None:
            epoch.changed(self, bit)
        if (observer := runtime.observer) is not None:
            observer(me, SET_BIT, self, False)
