"""What a step means, in one sentence."""

from collections.abc import Sequence
from typing import Any

from kwlab.explore.labels import waits_for
from kwlab.explore.trace_format import WorkerState
from kwlab.kthread import KTHREAD_SHOULD_PARK, KTHREAD_SHOULD_STOP
from kwlab.runtime.model import ModelRuntime
from kwlab.runtime.model_objects import ModelTask
from kwlab.runtime.model_ops import (
    CLOCK,
    COMPLETE,
    DEVICE,
    EXIT,
    LOCK,
    PROGRAM,
    READ,
    READ_STATE,
    SCHEDULE,
    SET_BIT,
    SET_STATE,
    SPAWN,
    STORE_STATE,
    TEST_BIT,
    TEST_COMPLETION,
    UNLOCK,
    WAIT,
    WAKE,
    WRITE,
    describe,
    target_name,
)
from kwlab.runtime.states import TASK_PARKED, TASK_RUNNING, task_state_to_char

__all__ = ["afterwards", "changes", "deed", "look", "reported", "told"]

_BITS = {KTHREAD_SHOULD_STOP: "stop", KTHREAD_SHOULD_PARK: "park"}


def _whose_bits(runtime: ModelRuntime, bits: Any) -> str:
    """The name of the kthread whose flags `bits` are; "" if nobody's."""
    for task in runtime.all_tasks:
        if task.kthread is not None and task.kthread.flags is bits:
            return task.name
    return ""


def deed(runtime: ModelRuntime, task: ModelTask, slept: bool) -> str:
    """What `task` is about to do, told from how everything stands before it; `slept`: it was asleep or waiting."""
    me, op, target, argument = task.name, task.op, task.target, task.argument
    if op == LOCK:
        return f"{me} takes {target.name}"
    if op == SCHEDULE:
        return _goes_on(task, slept)
    if op == WAIT:
        return f"{me} goes on: {target.name} is complete" if slept else f"{me} does not wait: {target.name} is complete"
    if op == DEVICE:
        return _timer(runtime, me) if task.is_device else f"{me} goes on: everybody else sleeps"
    if op == SET_STATE:
        return _announces(me, argument)
    if op == STORE_STATE:
        if argument is None:
            return f"{me} sets flags of {'its own' if target is task else target.name}"
        whose = "its own state" if target is task else f"the state of {target.name}"
        if argument == TASK_RUNNING and target is task:
            return f"{me} takes its announcement back" if task._state else f"{me} stores TASK_RUNNING, which it is"
        return f"{me} stores {whose} with no barrier ({task_state_to_char(argument)})"
    if op == READ_STATE:
        return f"{me} looks at the state of {target.name}"
    if op == WAKE:
        return _wakes(runtime, me, target, argument)
    if op == TEST_BIT:
        return _asks(runtime, task, target, argument)
    if op == SET_BIT:
        return _sets(runtime, me, target, argument)
    if op == COMPLETE:
        return f"{me} completes {target.name}: who waits for it may go on"
    if op == TEST_COMPLETION:
        return f"{me} looks whether {target.name} is complete"
    if op in (READ, WRITE):
        return (
            f"{me} {'reads' if op == READ else 'writes'} {target_name(op, target, argument)}, with no lock on purpose"
        )
    if op == CLOCK:
        return f"{me} looks at the clock (jiffies {target.now})"
    if op == PROGRAM:
        return f"{me} switches the timer device off" if argument is None else f"{me} sets the timer to {argument}"
    if op == EXIT:
        return f"{me} is over" if task.kthread is None else f"{me} exits"
    return f"{me}: {describe(op, target)}"


def _goes_on(task: ModelTask, slept: bool) -> str:
    if task.carrier is None:
        return f"{task.name} starts to run"
    if slept:
        return f"{task.name} wakes up in schedule() and goes on"
    return f"{task.name} calls schedule() and does not sleep: its state is TASK_RUNNING"


def _announces(me: str, state: int) -> str:
    if state == TASK_RUNNING:
        return f"{me} is TASK_RUNNING again"
    if state == TASK_PARKED:
        return f"{me} is ready to park, if somebody asks for it (P)"
    return f"{me} announces its sleep ({task_state_to_char(state)}): from now on a wake-up will be noticed"


def _wakes(runtime: ModelRuntime, me: str, target: ModelTask, states: int) -> str:
    if target._state & states:
        return f"{me} wakes {target.name}"
    waits = runtime.stores is not None and runtime.stores.pending(target)
    unseen = f" (what {target.name} stored since is in its store buffer, where nobody else sees it)" if waits else ""
    if target._state == TASK_RUNNING:
        return f"{me} wakes {target.name}, which is TASK_RUNNING{unseen}: nothing happens, and nothing is remembered"
    return f"{me} tries to wake {target.name}, whose state {task_state_to_char(target._state)} it does not wake{unseen}"


def _asks(runtime: ModelRuntime, task: ModelTask, bits: Any, bit: int) -> str:
    answer = "yes" if bits.word >> bit & 1 else "no"
    if bits is runtime._freeze:
        return f"{task.name} asks whether a freeze is under way: {answer}"
    owner = _whose_bits(runtime, bits)
    if owner and bit in _BITS:
        whom = "it" if owner == task.name else owner
        return f"{task.name} asks whether {whom} should {_BITS[bit]}: {answer}"
    return f"{task.name} tests a flag bit: {answer}"


def _sets(runtime: ModelRuntime, me: str, bits: Any, bit: int) -> str:
    verb, bit = ("sets", bit) if bit >= 0 else ("clears", ~bit)
    if bits is runtime._freeze:
        return f"{me} begins a freeze" if verb == "sets" else f"{me} ends the freeze"
    owner = _whose_bits(runtime, bits)
    return f"{me} {verb} {owner}'s {_BITS[bit]} bit" if owner and bit in _BITS else f"{me} {verb} a flag bit"


def _timer(runtime: ModelRuntime, me: str) -> str:
    clock = runtime.clock
    if clock.expires is not None and clock.now < clock.expires:
        return f"time passes: it is {clock.expires} jiffies now"
    return f"{me}: the timer's callback runs"


def reported(op: int, target: Any) -> str:
    """What is worth adding about an operation that is no step of its own; "" if nothing."""
    if op == UNLOCK:
        return f"releases {target.name}"
    return f"makes {target.name}, which sleeps until it is woken" if op == SPAWN else ""


def afterwards(task: ModelTask) -> str:
    """Where the step left `task`: what it waits for now, "" if it can go on."""
    if task.op == LOCK and task.target.owner is not None:
        return f"now it waits for {task.target.name}, held by {task.target.owner.name}"
    if task.op == WAIT and not task.target.count:
        return f"now it {waits_for(task.target)}"
    if task.op == SCHEDULE and task._state and not task.is_device:
        return f"now it sleeps ({task_state_to_char(task._state)})"
    return ""


def changes(before: Sequence[WorkerState], after: Sequence[WorkerState]) -> list[str]:
    """What a step did to the workers' lists."""
    known = {worker.name: worker for worker in before}
    found = []
    for worker in after:
        old = known.get(worker.name, WorkerState(worker.name))
        if worker is old:
            continue
        lists = [(name, getattr(old, name), getattr(worker, name)) for name in ("work_list", "delayed_work_list")]
        if not worker.freed:
            found += [f"takes {work} off {name}" for name, was, now in lists for work in was if work not in now]
            found += [f"links {work} into {name}" for name, was, now in lists for work in now if work not in was]
        if worker.freed and not old.freed:
            found.append(f"frees the worker {worker.name}")
    return found


def look(task: ModelTask, target: str, workers: Sequence[WorkerState]) -> list[str]:
    """What a worker's thread saw when it looked for work under the lock called `target` and left the list as it is."""
    for worker in workers:
        if worker.task == task.id and not worker.work_list and worker.current_work is None and not worker.freed:
            return ["finds work_list empty"] if task.kthread.data.lock.name == target else []
    return []


def told(event: str, work: str) -> str:
    """A tracepoint in words; "" if the rest of the sentence says it already."""
    if event == "sched_kthread_work_execute_start":
        return f"calls {work}"
    return f"returns from {work}" if event == "sched_kthread_work_execute_end" else ""
