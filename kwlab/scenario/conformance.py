"""Do the worker on real threads and a real kernel give the same answers? One runtime for each scenario, and no
thread left behind, whatever the scenario or the worker did."""

import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from kwlab import worker as the_worker
from kwlab.errors import KernelWarning
from kwlab.kthread import kthread_run, kthread_stop
from kwlab.runtime.base import Completion
from kwlab.runtime.clock import SteppedClock
from kwlab.runtime.threads import ThreadRuntime
from kwlab.scenario.format import Scenario
from kwlab.scenario.language import HANG
from kwlab.scenario.load import ScenarioError, load
from kwlab.scenario.observations import Observations, compare
from kwlab.scenario.runner import Player
from kwlab.scenario.stage import Unavailable
from kwlab.timer import timer_delete_sync

__all__ = ["Report", "conform", "further", "play_on_threads", "recorded"]

SETTLE_LIMIT = 20.0  # seconds until threads that never go to sleep are called a hang


@dataclass
class Report:
    """`agree`: names. `disagree`: the differences by name. `not_applicable`: the reason by name."""

    agree: list[str] = field(default_factory=list)
    disagree: dict[str, list[str]] = field(default_factory=dict)
    not_applicable: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"agree": self.agree, "disagree": list(self.disagree), "not_applicable": self.not_applicable}


def recorded() -> list[Path]:
    """The files of the scenarios that were recorded on a real kernel."""
    return sorted((Path(__file__).parent / "recorded").glob("*.yaml"))


def further() -> list[Path]:
    """The files of scenarios beside the recorded ones: what differs since, what other traces showed."""
    return sorted((Path(__file__).parent / "further").glob("*.yaml"))


def conform(files: Iterable[Path], subject: ModuleType = the_worker, limit: float = SETTLE_LIMIT) -> Report:
    """Play the scenarios in `files` on real threads. All are read before the first is played (`ScenarioError`)."""
    report = Report()
    scenarios = [load(file) for file in files]
    for name, count in Counter(scenario.name for scenario in scenarios).items():
        if count > 1:
            raise ScenarioError(f"{count} of the files have a scenario called {name!r}: each needs a name of its own")
    for scenario in scenarios:
        if scenario.not_applicable:
            report.not_applicable[scenario.name] = scenario.not_applicable
            continue
        try:
            observed, left = play_on_threads(scenario, subject, limit)
        except Unavailable as error:
            report.not_applicable[scenario.name] = f"this machine refuses its set-up: {error}"
            continue
        differences = compare(scenario, observed) + left
        if differences:
            report.disagree[scenario.name] = differences
        else:
            report.agree.append(scenario.name)
    return report


class _Runtime(ThreadRuntime):
    """Real threads, stepped time, and a way to end every wait."""

    def __init__(self, limit: float) -> None:
        self.clock: SteppedClock
        super().__init__(clock=SteppedClock(), on_deadlock="wait")
        self.limit = limit
        self.completions: list[Completion] = []

    def completion(self, name: str) -> Completion:
        made = super().completion(name)
        self.completions.append(made)
        return made

    def settle(self, limit: float | None = None) -> None:
        super().settle(self.limit if limit is None else limit)


def play_on_threads(
    scenario: Scenario, subject: ModuleType = the_worker, limit: float = SETTLE_LIMIT
) -> tuple[Observations, list[str]]:
    """Play `scenario` on threads of its own, and end them all; what was seen, and a line if a thread would not end."""
    runtime = _Runtime(limit)
    with warnings.catch_warnings(), runtime:
        # They are noted, and compared by function.
        warnings.simplefilter("ignore", KernelWarning)
        player = None
        try:
            player = Player(scenario, runtime, subject)
            observed = player.play()
        finally:
            left = _end_threads(runtime, player)
            runtime.close()
    return observed, left


def _end_threads(runtime: _Runtime, player: Player | None) -> list[str]:
    """Open every gate, end every wait, stop every thread. By now nobody looks at what the scenario does any more."""
    for staged in player.stage.works.values() if player else ():
        staged.stopped = True
        if staged.timer is not None:
            timer_delete_sync(staged.timer)
    # Ending one wait may lead a thread to the next; each round ends those that are known by then.
    stoppers: set[Any] = set()
    for _ in range(20):
        if not runtime.tasks():
            return []
        for task in set(runtime.tasks()) - stoppers:
            stoppers.add(kthread_run(kthread_stop, task, "stopper"))
        for done in runtime.completions[:]:
            done.complete_all()
        runtime.clock.step(HANG)  # for those in msleep()
        try:
            runtime.settle(min(runtime.limit, 2.0))
        except TimeoutError:
            continue
    return [f"a thread would not end: {', '.join(sorted({task.name for task in runtime.tasks()}))}"]
