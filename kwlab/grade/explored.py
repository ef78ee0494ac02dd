"""Search the interleavings of a grader's scenario in which functions of the answer take part.

The search runs in the referee, on the referee's structures (see `kwlab.grade.asked`). One search serves all tests of
a scenario: it does not end with the first bug, but notes the first of each kind.
"""

import importlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from kwlab.explore.bounding import IterativeBounding
from kwlab.explore.canonical import declare_constant
from kwlab.explore.engine import Execution, Options, Search, search
from kwlab.explore.merging import Merging
from kwlab.explore.problems import Bug
from kwlab.explore.trace import record
from kwlab.explore.tso import MEMORY_MODELS
from kwlab.grade.asked import Conversation, Stopped
from kwlab.grade.box import Clock
from kwlab.grade.exercise import Exercise
from kwlab.grade.testing import Broken, Failed

__all__ = ["Found", "explore"]

EXECUTIONS = 3000  # of one scenario; what the course's scenarios need is far below
PROCESSOR = 7.0  # seconds that a referee may use: unlike seconds on the wall, they do not depend on others
SEARCH = 2.5  # and for one scenario, so that one that has no end leaves something for the others
ENDLESS = "endless"
STEPS = 400  # of one interleaving, then it is endless


def options(memory: str) -> Options:
    """What a mark is searched with: data races count."""
    return Options(limit=STEPS, races=True, memory=memory)


def kind_of_bug(bug: Bug) -> str:
    """Its kind; for a promise that was not kept, what it is about. One that never gives way never ends."""
    if isinstance(bug.error, Broken):
        return bug.error.about
    return ENDLESS if bug.kind == "soft lockup" else bug.kind


@dataclass
class Found:
    """See `kwlab.grade.testing.Findings`. `bugs` holds the first bug of each kind and its schedule."""

    scenario: str
    title: str
    run: Callable[[], object]  # the scenario, ready to be searched or replayed
    clock: Clock
    memory: str = "sc"
    bugs: dict[str, tuple[Bug, list[int]]] = field(default_factory=dict)
    good: int = 0  # interleavings that ended as they should
    executions: int = 0
    guarantee: str = ""
    endless: bool = False  # an interleaving without an end: there was no point in going on

    def excludes(self, *kinds: str) -> None:
        for kind, (bug, schedule) in self.bugs.items():
            if kind in kinds:
                raise self._failed(kind, bug, schedule, "")
        if self.endless or (self.bugs and not self.good):
            kind = ENDLESS if self.endless else next(iter(self.bugs))
            how = "an interleaving has no end" if self.endless else "no interleaving comes to a good end"
            raise self._failed(kind, *self.bugs[kind], f"{how}, so what this test asks for cannot be told")

    def excludes_all(self) -> None:
        self.excludes(*self.bugs)

    def _failed(self, kind: str, bug: Bug, schedule: list[int], message: str) -> Failed:
        evidence = None
        try:
            with _not_longer_than(self.clock):
                if kind != ENDLESS:
                    bug, schedule = self._shortest(kind) or (bug, schedule)
                evidence = record(self.run, schedule, options(self.memory)).to_dict() | {"scenario": self.title}
        except Stopped:
            pass  # what went wrong is known; there was no time left to show it
        came = str(bug.error) if isinstance(bug.error, Broken) else str(bug)
        return Failed(called=self.title, came=came, message=message, evidence=evidence)

    def _shortest(self, kind: str) -> tuple[Bug, list[int]] | None:
        """The bug of this kind that needs the fewest preemptions, if it is soon found."""
        found: list[tuple[Bug, list[int]]] = []

        def after(execution: Execution, _: Search) -> bool:
            if execution.bug is not None and kind_of_bug(execution.bug) == kind:
                found.append((execution.bug, execution.schedule))
            return bool(found)

        search(self.run, IterativeBounding(3), options(self.memory), executions=100, stop_at_bug=False, after=after)
        return found[0] if found else None

    def sentence(self) -> str:
        """What was searched, and how completely."""
        count = f"{self.executions:,} execution{'' if self.executions == 1 else 's'}"
        how = f"{count}, {MEMORY_MODELS[self.memory]} memory, data races looked for in each"
        return f"Searched {self.guarantee} ({how}): {self.title}"


def explore(
    scenario: Callable[[Any], object],
    exercise: Exercise,
    conversation: Conversation,
    given: Mapping[str, Any],
    clock: Clock,
    memory: str = "sc",
) -> Found:
    """Search `scenario`; raises `Stopped` if the answer cannot be asked, or the time is over."""
    kwlab = importlib.import_module("kwlab")  # as a learner has it
    functions: dict[str, Any] = {name: getattr(kwlab, name) for name in exercise.given}
    functions.update(given)
    declare_constant(scenario.__module__)  # a grader keeps nothing in its variables
    title = " ".join((scenario.__doc__ or scenario.__name__).split())
    found = Found(scenario.__name__, title, conversation.scene(scenario, functions), clock, memory)

    def after(execution: Execution, _: Search) -> bool:
        bug = execution.bug
        if execution.ending.kind == "unfair":
            # A fair scheduler would end it; but an answer is asked to sleep while it waits, not to go round.
            bug = Bug(ENDLESS, f"still going on after {STEPS} steps: {execution.ending.sentence}")
        if bug is not None:
            found.bugs.setdefault(kind_of_bug(bug), (bug, execution.schedule))
        elif execution.ending.kind == "done":
            found.good += 1
        found.endless = bug is not None and kind_of_bug(bug) == ENDLESS
        return found.endless

    strategy = Merging()
    with _not_longer_than(clock):
        searched = search(found.run, strategy, options(memory), executions=EXECUTIONS, stop_at_bug=False, after=after)
    found.executions = searched.executions
    found.guarantee = strategy.guarantee() if searched.complete else "not all interleavings"
    return found


@contextmanager
def _not_longer_than(clock: Clock) -> Iterator[None]:
    """Ends a search when the referee has used its processor time, or when the time on the wall is over."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise Stopped(Failed(message="the time for the check was over", outcome="not run"))

    timers: tuple[tuple[int, signal.Signals, float], ...]
    left = min(PROCESSOR - time.process_time(), SEARCH)
    timers = ((signal.ITIMER_PROF, signal.SIGPROF, left),)
    timers += ((signal.ITIMER_REAL, signal.SIGALRM, clock.end - time.monotonic()),)
    before = [signal.signal(number, ring) for _, number, _ in timers]
    for timer, _, seconds in timers:
        # Again and again: the first may come where the model lets nothing through.
        signal.setitimer(timer, max(seconds, 0.001), 0.05)
    try:
        yield
    finally:
        for (timer, number, _), handler in zip(timers, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)
