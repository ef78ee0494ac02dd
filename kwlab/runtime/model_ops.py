"""The operations of the model: all that one task can do to another, and when each may be done.

An operation is *announced* before it is done. So at every moment each task's next operation is known, and with it
whether the task can be chosen, what it waits for, and which operations of other tasks it could collide with.
"""

from typing import Any

__all__ = [
    "CLOCK",
    "COMPLETE",
    "DEVICE",
    "EXIT",
    "HOLD",
    "LOCK",
    "LOOKS",
    "NAMES",
    "PROGRAM",
    "READ",
    "READ_STATE",
    "SCHEDULE",
    "SET_BIT",
    "SET_STATE",
    "SPAWN",
    "STORE_STATE",
    "TEST_BIT",
    "TEST_COMPLETION",
    "UNLOCK",
    "WAIT",
    "WAKE",
    "WRITE",
    "describe",
    "target_name",
]

# These four may have to wait, so they come first: a task with a later one can always be chosen.
LOCK, SCHEDULE, WAIT, DEVICE = range(4)
(
    SET_STATE,  # a store of the own state and a full barrier
    STORE_STATE,  # the plain store
    READ_STATE,
    WAKE,
    TEST_BIT,
    SET_BIT,
    COMPLETE,
    TEST_COMPLETION,  # try_wait and done
    CLOCK,  # a look at jiffies
    PROGRAM,  # the timer device is set to another expiry
    READ,  # READ_ONCE: target is the struct, argument the field's name
    WRITE,  # WRITE_ONCE
    EXIT,
) = range(4, 17)
# No scheduling points but part of the step before: an unlock can always be moved to right behind what the task did
# before, a new task does nothing until it is woken, and a reference to a task only counts once the task has exited.
UNLOCK, SPAWN, HOLD = 17, 18, 19

# They change nothing for anybody: a task that does only these waits for another.
LOOKS = frozenset((READ_STATE, TEST_BIT, TEST_COMPLETION, CLOCK, READ))

NAMES = (
    "lock",
    "schedule",
    "wait",
    "device",
    "set_current_state",
    "__set_current_state",
    "read state",
    "wake_up",
    "test_bit",
    "set_bit",
    "complete",
    "completion_done",
    "jiffies",
    "program_timer",
    "read",
    "write",
    "exit",
    "unlock",
    "spawn",
    "get_task_struct",
)


def target_name(op: int, target: Any, argument: Any) -> str:
    """What an announced operation is done to, by name; "" if it has none. Touches nothing that may be freed."""
    if op in (READ, WRITE):
        return f"{type(target).__name__}.{argument}" if argument else getattr(target, "name", "the list of tasks")
    return getattr(target, "name", "")


def describe(op: int, target: Any) -> str:
    """An operation in words: its name, and on what."""
    name = getattr(target, "name", None)
    if name is None or op in (SET_STATE, STORE_STATE, EXIT, CLOCK, PROGRAM):
        return NAMES[op]
    return f"{NAMES[op]}({name})"
