"""What a search says in the end: is there a bug, and if not, how much was searched."""

from dataclasses import dataclass, field, replace
from typing import Any

from kwlab.explore.engine import Options, Scenario
from kwlab.explore.explain import Explanation
from kwlab.explore.problems import Bug
from kwlab.explore.schedule import Schedule
from kwlab.explore.trace import Trace, record, scenario_name
from kwlab.explore.trace_format import BugNote

__all__ = ["Verdict"]


@dataclass(slots=True)
class Verdict:
    """The outcome of `check`.

    `guarantee` says how completely the interleavings were searched, `races` the same for data races, `memory` under
    which memory model. `schedule` leads to the bug: `replay` and `record` take it, or its text. It has `preemptions`
    preemptions, and if `fewest`, no schedule with fewer shows a bug of this kind. `notes` tell what could not be done
    and why. `seconds` (wall time) is part of no text, so that stored texts repeat.
    """

    bug: Bug | None
    guarantee: str
    memory: str = "sequentially consistent"
    races: str = "not looked for"
    executions: int = 0
    steps: int = 0
    states: int = 0
    seconds: float = 0.0
    schedule: Schedule = field(default_factory=Schedule)
    notes: list[str] = field(default_factory=list)
    preemptions: int | None = None
    fewest: bool = False
    scenario: Scenario | None = field(default=None, repr=False)
    options: Options | None = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """True if no bug was found (see `guarantee` for what that means)."""
        return self.bug is None

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        if self.bug is None:
            return f"no bug in {self.guarantee} ({self.memory} memory; {self.effort})"
        return f"{self.bug} (found in {self.effort})"

    @property
    def effort(self) -> str:
        """How much was searched, in words."""
        states = f", {self.states:,} states" if self.states else ""
        return f"{self.executions:,} execution{'' if self.executions == 1 else 's'}{states}"

    def trace(self) -> Trace:
        """The interleaving that leads to the bug, step by step. Errors: `ValueError` if there is no bug."""
        if self.bug is None or self.scenario is None:
            raise ValueError("there is no interleaving to trace: this verdict is of no bug")
        trace = record(self.scenario, self.schedule, self.options, stop=True)
        # Some bugs are seen by the search only: a lock order over several executions, a state that comes again.
        return replace(trace, bug=BugNote(self.bug.kind, self.bug.sentence, self.bug.task))

    def explain(self) -> Explanation:
        """What was searched, and if there is a bug, how it comes about: ``print(verdict.explain())``."""
        facts = [("scenario", scenario_name(self.scenario))] if self.scenario is not None else []
        if self.bug is None:
            heading = f"no bug in {self.guarantee}"
            facts += [("searched", self.effort)]
        else:
            heading = str(self.bug)
            facts += [("found in", self.effort)]
        facts += [("memory model", self.memory), ("data races", self.races)]
        if self.preemptions is not None:
            fewest = ", the fewest that show it" if self.fewest and self.preemptions else ""
            plural = "" if self.preemptions == 1 else "s"
            facts += [("shortest", f"{len(self.schedule)} steps, {self.preemptions} preemption{plural}{fewest}")]
        if self.bug is not None:
            facts += [("replay", str(self.schedule))]
        facts += [("note", note) for note in self.notes]
        return Explanation(heading, facts, self.trace() if self.bug is not None and self.scenario is not None else None)

    def _repr_mimebundle_(self, **unused: Any) -> dict[str, str]:
        explanation = self.explain()
        return {"text/plain": str(explanation), "text/html": explanation._repr_html_()}
