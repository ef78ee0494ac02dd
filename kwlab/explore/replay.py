"""One execution again, exactly: follow a schedule."""

from collections.abc import Sequence

from kwlab.explore.engine import Execution, Options, Scenario, exploring, run_once
from kwlab.explore.problems import INVERSION, Bug
from kwlab.explore.schedule import Schedule, ScheduleError, fingerprint_of, fold
from kwlab.runtime.model import Ending, ModelRuntime
from kwlab.runtime.model_objects import ModelTask

__all__ = ["Follow", "replay", "signed"]

WHY = "Was it recorded from another scenario, under other options, or has the code under test changed?"


class Follow:
    """The strategy that knows what it wants. Behind the end of the schedule every task goes on as long as it can."""

    every_step = True
    states = 0

    def __init__(self, schedule: Sequence[int], strict: bool = True) -> None:
        """Not `strict`: where the wanted task is not enabled, go on with another instead of an error."""
        self.schedule = schedule
        self.strict = strict
        self.preemptions = 0
        self._step = 0
        self._folded = 0

    def begin(self, runtime: ModelRuntime) -> None:
        self._step = self._folded = self.preemptions = 0

    def choose(self, enabled: list[ModelTask], me: ModelTask) -> ModelTask:
        chosen = self._wanted(enabled, me)
        if chosen is not me and me in enabled:
            self.preemptions += 1
        if self._step < len(self.schedule):
            self._folded = fold(self._folded, chosen)
        self._step += 1
        return chosen

    def _wanted(self, enabled: list[ModelTask], me: ModelTask) -> ModelTask:
        if self._step < len(self.schedule):
            wanted = self.schedule[self._step]
            for task in enabled:
                if task.id == wanted:
                    return task
            if self.strict:
                raise ScheduleError(
                    f"this schedule does not fit the scenario: step {self._step + 1} wants task {wanted}, but only "
                    f"{', '.join(f'{task.id} ({task.name})' for task in enabled)} can go on there. {WHY}"
                )
        return me if me in enabled else enabled[0]

    def end(self, ending: Ending) -> bool:
        return False

    def guarantee(self) -> str:
        return "one interleaving"

    @property
    def fingerprint(self) -> str:
        """Of the steps that were scheduled (see `kwlab.explore.schedule`)."""
        return fingerprint_of(self._folded)

    def verify(self, taken: Sequence[int]) -> None:
        """After an execution whose steps were `taken`: `ScheduleError` unless it was the one that was recorded."""
        if len(taken) < len(self.schedule):
            raise ScheduleError(
                f"this schedule does not fit the scenario: it has {len(self.schedule)} steps, but everything was over "
                f"after {len(taken)}. {WHY}"
            )
        recorded = getattr(self.schedule, "fingerprint", None)
        if recorded is not None and recorded != self.fingerprint:
            raise ScheduleError(
                f"this schedule does not fit the scenario: its steps can be taken, but they did other things when it "
                f"was recorded (fingerprint {recorded}, now {self.fingerprint}). {WHY}"
            )


def replay(scenario: Scenario, schedule: str | Sequence[int], options: Options | None = None) -> Execution:
    """Run `scenario` along `schedule`, task numbers or the text of a `Schedule`; `options` as in the search.

    Errors: `ScheduleError` if it does not fit, or is damaged.
    """
    strategy = Follow(Schedule.read(schedule))
    options = options or Options()
    with exploring(scenario, options) as interrupt:
        execution = run_once(scenario, strategy, options)
    interrupt.deliver()
    strategy.verify(execution.schedule)
    if execution.bug is None and options.lock_order.inversion and INVERSION not in options.allow:
        execution.bug = Bug(INVERSION, options.lock_order.inversion)
    return execution


def signed(scenario: Scenario, schedule: Sequence[int], options: Options) -> Schedule:
    """`schedule` with the fingerprint of what its steps do."""
    strategy = Follow(schedule)
    with exploring(scenario, options):
        execution = run_once(scenario, strategy, options)
    strategy.verify(execution.schedule)
    return Schedule(schedule, strategy.fingerprint)
