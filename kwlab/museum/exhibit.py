"""What an exhibit of the bug museum is: a wrong worker or a wrong use, the scenario that shows it, and the way out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import kwlab.worker
from kwlab.museum.variant import Edit, make_variant

__all__ = ["Exhibit", "Scenario"]

Scenario = Callable[[ModuleType], None]


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One bug.

    `scenario` and `fixed` take the worker's module. A historical bug has `edits` that bring it back, and the same
    scenario passes on today's source. A trap has none: the shipped worker is right, `scenario` uses it wrongly, and
    `fixed` uses it as it must be used.
    """

    name: str  # B1 to B15 are historical bugs, T1 to T10 traps that are there today
    title: str
    story: str  # what happened, to whom, when
    kind: str  # what the explorer calls it
    scenario: Scenario
    edits: tuple[Edit, ...] = ()
    fixed: Scenario | None = None
    fix: str = ""
    options: dict[str, Any] = field(default_factory=dict)  # for check() and for Options

    def wrong_module(self) -> ModuleType:
        """The worker with the bug in it; today's worker for a trap."""
        return make_variant(self.name, self.edits) if self.edits else kwlab.worker

    def wrong(self) -> None:
        """The scenario that fails, for `check`."""
        self.scenario(self.wrong_module())

    def right(self) -> None:
        """The scenario that passes, for `check`."""
        (self.fixed or self.scenario)(kwlab.worker)
