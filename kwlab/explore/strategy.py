"""What a strategy is: who goes on at a scheduling point, and whether there is another execution to try."""

from typing import Protocol

from kwlab.runtime.model import Ending, ModelRuntime
from kwlab.runtime.model_objects import ModelTask

__all__ = ["NonDeterministicError", "Strategy", "enough", "non_deterministic", "preferred", "signature"]


class NonDeterministicError(RuntimeError):
    """The same choices led to different operations: the scenario depends on something that is not in the model."""

    def __init__(self, how: str) -> None:
        super().__init__(
            f"the scenario is not deterministic: after the same choices, {how}. Does it keep something from one run to "
            "the next (a global list, a cache), or read time, chance or the outside world?"
        )


class Strategy(Protocol):
    """One small class per way to search. The engine calls `begin`, then `choose` again and again, then `end`.

    One that leaves out orders which the tasks cannot tell apart has an attribute ``reduces = True``.
    """

    every_step: bool  # asked at every step, or only where more than one task is enabled

    @property
    def states(self) -> int:
        """How many different states were seen, for strategies that tell states apart; else 0."""

    def begin(self, runtime: ModelRuntime) -> None:
        """A new execution starts."""

    def choose(self, enabled: list[ModelTask], me: ModelTask) -> ModelTask | None:
        """Who of `enabled` goes on; `me` ran up to here. None: this execution is not worth finishing.

        Whoever looks into structs to find out does it in a block ``with unobserved(me):``, or the race detector takes
        it for accesses of `me`.
        """

    def end(self, ending: Ending) -> bool:
        """The execution is over; True if there is another one to try."""

    def guarantee(self) -> str:
        """What is known once `end` returned False and there was no bug."""


def preferred(enabled: list[ModelTask], me: ModelTask) -> list[ModelTask]:
    """The order in which searches try: go on with the same task first, so that early executions read well."""
    if me in enabled and enabled[0] is not me:
        return [me, *[task for task in enabled if task is not me]]
    return enabled


def signature(enabled: list[ModelTask]) -> list[int]:
    """What must be the same when the same choices are made again: who is enabled, and to do what."""
    return [task.id << 8 | task.op for task in enabled]


def non_deterministic(before: list[int], now: list[int], tasks: list[ModelTask]) -> NonDeterministicError:
    """The error for a scenario that went another way than the last time; the signatures say where."""

    def names(signature: list[int]) -> str:
        return ", ".join(tasks[entry >> 8].name if entry >> 8 < len(tasks) else "?" for entry in signature)

    return NonDeterministicError(
        f"the tasks that could go on were [{names(before)}] and now are [{names(now)}], or their next operations differ"
    )


def enough(strategy: str, **given: int) -> int:
    """The given number. Errors: `ValueError` if it is less than one; the message names the parameter."""
    ((name, number),) = given.items()
    if number < 1:
        raise ValueError(f"{strategy}({name}={number}): at least 1")
    return number
