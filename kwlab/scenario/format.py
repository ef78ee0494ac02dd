"""What a scenario is: its workers, works and steps, with the answers expected, as plain data."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from kwlab.scenario.language import Operation

__all__ = ["NO_ANSWER", "Call", "OneOf", "Scenario", "WorkSpec", "WorkerSpec"]


class _NoAnswer:
    def __repr__(self) -> str:
        return "not compared"


NO_ANSWER = _NoAnswer()


@dataclass(frozen=True)
class OneOf:
    """Several answers are right: the kernel's own depends on timing."""

    answers: tuple[Any, ...]

    def __str__(self) -> str:
        return " or ".join(map(str, self.answers))


@dataclass(frozen=True)
class Call:
    """One operation with its arguments: a step of the scenario, or a call that a work's body makes."""

    NEVER_CHANGES: ClassVar[bool] = True

    text: str
    number: int
    operation: Operation
    arguments: tuple[Any, ...]
    by: str = "main"
    times: int = 1
    answer: Any = NO_ANSWER

    @property
    def compared(self) -> bool:
        return self.answer is not NO_ANSWER


@dataclass(frozen=True)
class WorkerSpec:
    """How a worker is made. `made_by` "kthread_init_worker" is an embedded worker: no thread until kthread_run."""

    name: str
    made_by: str = "kthread_run_worker"
    thread_name: str = ""
    flags: int = 0
    cpu: int | None = None
    sched: str = ""
    nice: int | None = None


@dataclass(frozen=True)
class WorkSpec:
    """A work and what its function does: wait at the gate if `gated`, then make the calls of its body.

    `runs` holds the calls by number of the run (1 is the first), `every` those of every run. A `quiet` work is
    not written into order, inside and trace: it runs too often.
    """

    name: str
    delayed: bool = False
    gated: bool = False
    quiet: bool = False
    runs: dict[int, tuple[Call, ...]] = field(default_factory=dict)
    every: tuple[Call, ...] = ()


@dataclass(frozen=True)
class Scenario:
    """A whole scenario. `before` are steps that come before anything is written down."""

    NEVER_CHANGES: ClassVar[bool] = True

    name: str
    about: str
    source: str
    file: str
    workers: dict[str, WorkerSpec] = field(default_factory=dict)
    works: dict[str, WorkSpec] = field(default_factory=dict)
    before: tuple[Call, ...] = ()
    steps: tuple[Call, ...] = ()
    order: tuple[str, ...] = ()
    warns: tuple[str, ...] = ()
    trace: tuple[tuple[str, str], ...] | None = None
    not_applicable: str = ""
