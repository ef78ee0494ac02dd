"""Which operations can notice each other: one table.

Two steps are *independent* if it makes no difference in which order they are done: each leaves the other possible or
impossible, as it was, and both orders lead to the same state. Executions that differ only in the order of independent
steps need to be run once. A wrong entry here loses bugs, so `tests/test_soundness.py` compares with running them all.

Every step is reduced to its *accesses*: a key (what it touches) and a mode. Two accesses of one key collide unless
both read, or both add.

| operation | touches | mode | why |
|---|---|---|---|
| lock | the lock | write | who comes first has it; an unlock enables, but can never be exchanged with a lock |
| schedule | own state | read | possible only in TASK_RUNNING |
| set_current_state, plain store, exit | the task's state | write | a wake-up before and one after differ |
| read state | the task's state | read | |
| wake_up | the task's state | write; read if it changes nothing | wake-ups of a running task do not notice each other |
| plain store and WRITE_ONCE under total store order | the own store buffer | write | |
| a store leaves its buffer | the buffer | write | it is the oldest one |
| (a store becomes visible) | the field, or the task's state | write | in the step of the buffer, or at a barrier |
| (a barrier with stores waiting) | the own store buffer | write | nothing is left for the buffer to do |
| wake_up of a task that has exited | references to it | read | it is a use after free, unless somebody holds one |
| (a reference taken or dropped) | references to it | add | |
| test_bit, set_bit | the one bit | read, write | bits of one word do not collide |
| complete | the completion | add | counts commute |
| complete_all | the completion | write | |
| wait, a try_wait that takes | the completion | write | |
| completion_done, a try_wait in vain | the completion | read | |
| wait in another state than TASK_RUNNING | own state too | write | it comes back in TASK_RUNNING |
| (begin of a wait) | own state | read | it warns of a state that a wake-up may just take back |
| jiffies | the time | read | |
| timer interrupt | what the timer is set to | write | it comes once |
| timer interrupt that only lets the time come | what the timer is set to, the time | read, write | |
| program_timer | what the timer is set to | write | |
| (program_timer's look at what it is set to) | what the timer is set to | read | nothing is done if that is the same |
| READ_ONCE, WRITE_ONCE | the field of the struct | read, write | |
| (an access to a field that is racy on purpose) | the field of the struct | read, write | see `kwlab.explore.racy` |
| (a line for the kernel log, a look at it) | the log | write | |
| (a task is made) | the list of tasks | write | freezing goes through it in order |
| (begin of going through the tasks) | the list of tasks | read | |
| `settle` | everything | | it waits until nobody can go on; what came before could not have come behind it |
| `look` of a scenario | everything | | nobody says at what |
| any other device | everything | | nothing is known about it |

What stands in parentheses has no scheduling point of its own and belongs to the step that it happens in. Other plain
fields are not here: what neither a lock nor another operation keeps in order is a data race, and the race detector's.
"""

from typing import Any

from kwlab.explore.quiet import Everything, Quiet
from kwlab.explore.tso import StoreBuffer
from kwlab.runtime import model_ops as ops
from kwlab.runtime.model_clock import ModelClock
from kwlab.runtime.model_objects import ModelTask
from kwlab.runtime.model_ops import HOLD, PROGRAM, READ_STATE, SPAWN
from kwlab.runtime.states import TASK_DEAD, TASK_RUNNING

__all__ = [
    "ADD",
    "EVERYTHING",
    "READ",
    "WRITE",
    "Accesses",
    "accesses_of",
    "aside_accesses",
    "comes_last",
    "detail_of",
    "exchangeable",
]
__all__ += ["independent"]

READ, ADD, WRITE = range(3)

# The operations that have a detail (see `detail_of`); most steps are others.
_DETAILED = frozenset((ops.COMPLETE, ops.WAIT, ops.TEST_COMPLETION, ops.STORE_STATE, ops.SET_STATE, ops.DEVICE))

# (key, mode) pairs; None: collides with everything.
Accesses = tuple[tuple[int, int], ...] | None
EVERYTHING: Accesses = None


def accesses_of(task: ModelTask) -> Accesses:
    """What the operation that `task` has announced would touch if it were done now."""
    op, target = task.op, task.target
    if op == ops.LOCK:
        return ((target.key, WRITE),)
    if op == ops.TEST_BIT:
        return ((target.key + task.argument, READ),)
    if op == ops.WAKE:
        stores = task.runtime.stores
        state: int = target._state if stores is None else stores.get(task, target, "_state")
        if state & TASK_DEAD:
            return (target.key, READ), (target.key + 1, READ)
        return ((target.key, WRITE if state & task.argument else READ),)
    if op == ops.SCHEDULE or op == ops.READ_STATE:
        return ((target.key, READ),)
    if op == ops.SET_STATE or op == ops.STORE_STATE or op == ops.EXIT:
        if op == ops.STORE_STATE and task.argument is not None and task.runtime.stores is not None:
            return ((task.buffer_key, WRITE),)
        return ((target.key, WRITE),)
    if op == ops.WAIT:
        return ((target.key, WRITE), (task.key, WRITE)) if task._state else ((target.key, WRITE),)
    if op == ops.COMPLETE:
        return ((target.key, ADD if task.argument == 1 else WRITE),)
    if op == ops.TEST_COMPLETION:
        return ((target.key, WRITE if task.argument and target.count else READ),)
    if op == ops.SET_BIT:
        bit = task.argument
        return ((target.key + (bit if bit >= 0 else ~bit), WRITE),)
    if op == ops.WRITE and task.runtime.stores is not None:
        return ((task.buffer_key, WRITE),)
    if op == ops.READ or op == ops.WRITE:
        if isinstance(target, Everything):
            return EVERYTHING
        key = target.key if target is task.runtime else task.runtime.field_key(target, task.argument)
        return ((key, READ if op == ops.READ else WRITE),)
    if op == ops.CLOCK:
        return ((target.key, READ),)
    if op == ops.PROGRAM:
        return ((target.key + 1, WRITE),)
    if isinstance(target, ModelClock):
        if target.expires is None:
            return ((target.key + 1, READ),)  # whatever it would do, it would have to be set
        if target.now < target.expires:
            return (target.key + 1, READ), (target.key, WRITE)
        return ((target.key + 1, WRITE),)
    if isinstance(target, StoreBuffer):
        return ((target.owner.buffer_key, WRITE),)
    return EVERYTHING


def aside_accesses(op: int, target: Any) -> tuple[int, int]:
    """The access of what a step did besides its operation (`ModelRuntime.asides`)."""
    if op == SPAWN:
        return target.key, WRITE
    if op == HOLD:
        return target.key + 1, ADD
    if op == PROGRAM:
        return target.key + 1, READ
    if op == ops.WRITE or op == ops.READ:
        return target, WRITE if op == ops.WRITE else READ  # a key already
    assert op == READ_STATE
    return target.key, READ


def comes_last(task: ModelTask) -> bool:
    """True if the announced operation waits until nobody but devices can go on.

    So whoever did a step before, other than a device's, could have done it: and could not have come behind.
    """
    return isinstance(task.target, Quiet)


def independent(one: Accesses, other: Accesses) -> bool:
    """True if two steps with these accesses cannot notice each other."""
    if one is None or other is None:
        return False
    for key, mode in one:
        for key2, mode2 in other:
            if key == key2 and (mode != mode2 or mode == WRITE):
                return False
    return True


def detail_of(task: ModelTask) -> float:
    """What `exchangeable` must know of the announced operation besides its kind; before it is done."""
    op, target = task.op, task.target
    if op not in _DETAILED:
        return 0
    if op == ops.COMPLETE:
        return -1 if task.argument == 1 else float(target.count)
    if op == ops.WAIT or op == ops.TEST_COMPLETION:
        return float(target.count)
    if op == ops.DEVICE:
        return float(comes_last(task))
    return float(target._state == TASK_RUNNING)


def exchangeable(op: int, detail: float, later: int, later_detail: float) -> bool:
    """A schedule or a wait (`later`) collides with an earlier step: could it have been done without that one?

    If not, the earlier step made it possible, and there is no other order of the two.
    """
    if later == ops.SCHEDULE:
        # An effective wake-up finds a sleeping task, schedule needs a running one.
        return op != ops.WAKE and detail > 0
    # One `complete` can be missed if there are two to take; before all else, there had to be one to take.
    return later_detail >= 2 if detail < 0 else detail >= 1
