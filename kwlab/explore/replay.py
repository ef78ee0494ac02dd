"""One execution again, exactly: follow a schedule."""

from kwlab.explore.engine import Execution, Options, Scenario, exploring, run_once
from kwlab.runtime.model import Ending, ModelRuntime
from kwlab.runtime.model_objects import ModelTask

__all__ = ["Follow", "ScheduleError", "replay", "too_long"]


class ScheduleError(ValueError):
    """A schedule that does not fit: of another scenario, of another version of it, or damaged."""


class Follow:
    """The strategy that knows what it wants. Behind the end of the schedule every task goes on as long as it can."""

    every_step = True
    states = 0

    def __init__(self, schedule: list[int], strict: bool = True) -> None:
        """Not `strict`: where the wanted task is not enabled, go on with another instead of an error."""
        self.schedule = schedule
        self.strict = strict
        self._step = 0

    def begin(self, runtime: ModelRuntime) -> None:
        self._step = 0

    def choose(self, enabled: list[ModelTask], me: ModelTask) -> ModelTask:
        step, self._step = self._step, self._step + 1
        if step >= len(self.schedule):
            return me if me in enabled else enabled[0]
        wanted = self.schedule[step]
        for task in enabled:
            if task.id == wanted:
                return task
        if not self.strict:
            return me if me in enabled else enabled[0]
        raise ScheduleError(
            f"this schedule does not fit the scenario: step {step} wants task {wanted}, but only "
            f"{', '.join(f'{task.id} ({task.name})' for task in enabled)} can go on there. Was it recorded from "
            "another scenario, or has the code under test changed?"
        )

    def end(self, ending: Ending) -> bool:
        return False

    def guarantee(self) -> str:
        return "one interleaving"


def replay(scenario: Scenario, schedule: list[int], options: Options | None = None) -> Execution:
    """Run `scenario` along `schedule`. Errors: `ScheduleError` if it does not fit."""
    strategy = Follow(schedule)
    options = options or Options()
    with exploring(scenario, options):
        execution = run_once(scenario, strategy, options)
    if len(execution.schedule) < len(schedule):
        raise too_long(schedule, execution.schedule)
    return execution


def too_long(schedule: list[int], taken: list[int]) -> ScheduleError:
    """The error for a `schedule` of which only the steps `taken` could be taken."""
    return ScheduleError(
        f"this schedule does not fit the scenario: it has {len(schedule)} steps, but everything was over after "
        f"{len(taken)}. Was it recorded from another scenario, or has the code under test changed?"
    )
