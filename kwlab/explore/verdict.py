"""What a search says in the end: is there a bug, and if not, how much was searched."""

from dataclasses import dataclass, field

from kwlab.explore.problems import Bug

__all__ = ["Verdict"]


@dataclass(slots=True)
class Verdict:
    """The outcome of `check`.

    `guarantee` says how completely the interleavings were searched, `races` the same for data races, `memory` under
    which memory model. `schedule` leads to the bug, as a list of task numbers for `replay`. `notes` tell what could
    not be done and why.
    """

    bug: Bug | None
    guarantee: str
    memory: str = "sequentially consistent"
    races: str = "not looked for"
    executions: int = 0
    steps: int = 0
    states: int = 0
    seconds: float = 0.0
    schedule: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True if no bug was found (see `guarantee` for what that means)."""
        return self.bug is None

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        states = f", {self.states:,} states" if self.states else ""
        effort = f"{self.executions:,} executions{states}, {self.seconds:.2f} s"
        if self.bug is None:
            return f"no bug in {self.guarantee} ({self.memory} memory; {effort})"
        return f"{self.bug} (found in {effort})"
