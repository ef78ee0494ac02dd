"""What a grader file is written with.

    from kwlab.grade.testing import Boxed, expect, points

    @points(2, part=1)
    def test_add_links_at_the_front(answer: Boxed) -> None:
        '''`list_add` links the new entry right behind the head.'''
        came = answer.probe("call", ..., called="list_add(C, head)")
        expect(called="list_add(C, head)", came=came, expected="head: C A B")

The test runs in the referee's process and the probe in the answer's, so a probe's word is evidence, not verdict:
let it report what was done (fields written, schedules taken) and work out here what that amounts to.

Where an exercise is explored, there is no probe. A scenario calls the functions of the answer, and the tests ask what
was found in its interleavings:

    def one_client(answer):
        '''`worker_fn(worker)`, while main queues one work.'''
        worker = ...
        task = kthread_run(answer.worker_fn, worker, "worker")
        ...
        promise(ran == ["A"], "runs", f"the works that ran are {ran}, not A")

    @points(3, part=1, caps=True)
    def test_no_wake_up_is_lost(answer: Boxed) -> None:
        '''In no interleaving the worker sleeps with a work queued.'''
        answer.explore(one_client).excludes("lost wake-up", "deadlock")
"""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn, Protocol

import pytest

from kwlab.runtime.states import TASK_INTERRUPTIBLE, TASK_RUNNING
from kwlab.sched import __set_current_state, schedule, set_current_state

__all__ = [
    "FATAL",
    "Boxed",
    "Broken",
    "Failed",
    "Findings",
    "Functions",
    "expect",
    "fail",
    "points",
    "promise",
    "sleep_until",
]

FATAL = (
    "lost wake-up",
    "deadlock",
    "thread left behind",
    "recursive lock",
    "locking",
    "sleeping while atomic",
    "data race",
    "list corruption",
    "use after free",
)
"""The kinds of bug that bring a machine down: a test that excludes them caps its part."""


class Failed(AssertionError):
    """The answer does not do what a test asks for; the fields are what the learner is shown."""

    def __init__(self, *, called: str = "", came: str = "", expected: str = "", message: str = "", **more: Any) -> None:
        super().__init__(message or f"{called}: {came}, not {expected}")
        self.called, self.came, self.expected, self.message = called, came, expected, message
        self.outcome: str = more.pop("outcome", "failed")
        self.evidence: Any = more.pop("evidence", None)
        if more:
            raise TypeError(f"Failed() knows nothing of {', '.join(more)}")


class Broken(AssertionError):
    """A scenario's `promise` that was not kept."""

    def __init__(self, about: str, sentence: str) -> None:
        super().__init__(sentence)
        self.about = about


def promise(kept: object, about: str, sentence: str) -> None:
    """In a scenario: what must hold here, `about` what (as `Findings.excludes` asks for it), and what is if not."""
    if not kept:
        raise Broken(about, sentence)


def sleep_until(ready: Callable[[], object]) -> None:
    """In a scenario: the task sleeps, whoever wakes it, until ``ready()``. For actors beside the answer."""
    while True:
        set_current_state(TASK_INTERRUPTIBLE)
        if ready():
            break
        schedule()
    __set_current_state(TASK_RUNNING)


class Functions(Protocol):
    """The functions of an answer, by name, for a scenario to call."""

    def __getattr__(self, name: str) -> Any: ...


class Findings(Protocol):
    """What was found in the interleavings of a scenario."""

    def excludes(self, *kinds: str) -> None:
        """Raise `Failed` if a bug of one of these kinds (`kwlab.explore.problems.KINDS`, or what a `promise` is
        about) was found, or if no interleaving came to a good end, so that nothing is known."""

    def excludes_all(self) -> None:
        """Raise `Failed` if anything was found."""

    @property
    def bugs(self) -> Mapping[str, Any]:
        """What was found, by kind."""


class Boxed(Protocol):
    """The fixture `answer`: a fresh process with the answer loaded, for this test alone.

    `seed` is the learner's: tests that choose something choose the same for the same learner.
    """

    seed: str

    def probe(self, name: str, *arguments: Any, called: str) -> Any:
        """What `name` in the exercise's probe.py returns for these JSON `arguments`.

        `called` is what a learner would call this.
        Raises `Failed`, with all that there is to say, when the answer raises, hangs, or is not written yet.
        """

    def must_return(self, function: str, *, called: str) -> None:
        """For a call that gave None: `Failed` if it is because `function` has no ``return`` with a value, no yield."""

    def explore(
        self, scenario: Callable[[Functions], object], given: Mapping[str, Any] | None = None, *, memory: str = "sc"
    ) -> Findings:
        """Run `scenario`, which calls the functions of the answer by name, in every interleaving.

        Its docstring says what it does. `given` replaces functions of kwlab that the answer calls, and adds helpers.
        `memory`: "sc", or "tso" for processors that let a plain store wait (see `kwlab.explore.tso`).
        What was found is kept: a scenario is searched once for all tests.
        """

    def remark(self, sentence: str) -> None:
        """Say something about the whole mark: what was searched, how completely, under which memory model."""


def points(number: int, *, part: int, caps: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """This test gives `number` points to `part`. `caps`: failing it, the part gets at most half of its points."""
    return pytest.mark.points(number, part=part, caps=caps)


def expect(*, called: str, came: Any, expected: Any, message: str = "", evidence: Any = None) -> None:
    """Raise `Failed` unless `came` is what was `expected`, in value and in type."""
    if came != expected or type(came) is not type(expected):
        texts = [value if isinstance(value, str) else repr(value) for value in (came, expected)]
        raise Failed(called=called, came=texts[0], expected=texts[1], message=message, evidence=evidence)


def fail(*, called: str, message: str, evidence: Any = None) -> NoReturn:
    """Raise `Failed` with a sentence that says it all."""
    raise Failed(called=called, message=message, evidence=evidence)
