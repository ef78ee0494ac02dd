"""Could two announced operations of two tasks collide, so that it matters which of them comes first?"""

from typing import Any

from kwlab.runtime.model_objects import ModelTask
from kwlab.runtime.model_ops import (
    CLOCK,
    COMPLETE,
    READ,
    READ_STATE,
    SCHEDULE,
    SET_BIT,
    TEST_BIT,
    TEST_COMPLETION,
    WAIT,
    WAKE,
    WRITE,
)
from kwlab.runtime.states import TASK_RUNNING

__all__ = ["collide"]

# Pairs that come to the same in either order, although they are on one object.
_COMMUTE = {
    frozenset({CLOCK}),
    frozenset({READ}),
    frozenset({READ_STATE}),
    frozenset({TEST_BIT}),
    frozenset({TEST_COMPLETION}),
    frozenset({COMPLETE}),
    frozenset({COMPLETE, WAIT}),  # the wait is possible already, so it takes what was there before
}
_FIELDS = {READ, WRITE}
_BITS = {SET_BIT, TEST_BIT}


def collide(one: ModelTask, other: ModelTask) -> bool:
    """True if the order of what `one` and `other` are about to do can matter; both can go on."""
    if one.target is not other.target:
        return False
    ops = {one.op, other.op}
    if frozenset(ops) in _COMMUTE:
        return False
    if ops <= _BITS:
        return bool(_bit(one.argument) == _bit(other.argument))
    if ops <= _FIELDS:
        return bool(one.argument == other.argument)
    if WAKE in ops and ops <= {WAKE, SCHEDULE, READ_STATE}:
        # A wake-up of a task that is running changes nothing, and one that can leave schedule() is running.
        return bool(one.target._state != TASK_RUNNING)
    return True


def _bit(argument: Any) -> Any:
    # Clearing a bit is announced with its complement.
    return ~argument if isinstance(argument, int) and argument < 0 else argument
