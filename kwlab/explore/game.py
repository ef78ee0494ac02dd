"""The game of being the scheduler: the player chooses who goes on, at every step where that matters, and wants a bug.

A position is a schedule, and every position is reached by running the scenario anew: so undoing is forgetting. Between
two choices of the player the game goes on by itself: while only one task can go on, and while what the chosen task
does next cannot collide with anything that the others could do first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kwlab.explore.engine import Options, Scenario, exploring, run_once
from kwlab.explore.trace import Trace, record
from kwlab.explore.until import FAR, Until

__all__ = ["Game", "Position", "follow"]

PATIENCE = 60  # clicks: nobody would follow a longer answer
LIMIT = 2_000  # steps until an execution counts as endless: a click should be answered at once


@dataclass(frozen=True, slots=True)
class Position:
    """Where a game stands: the `schedule` so far, who can go on (`enabled`), and the kind of the bug, if there is one.

    Positions with one `fingerprint` differ only in the order of steps that do not collide.
    """

    schedule: tuple[int, ...]
    enabled: tuple[int, ...]
    bug: str | None = None
    fingerprint: int = 0

    @property
    def over(self) -> bool:
        return not self.enabled


class Game:
    """One game on `scenario`. `clicks` are the tasks that the player chose; `position` is where that led."""

    def __init__(self, scenario: Scenario, options: Options | None = None) -> None:
        self.scenario = scenario
        self.options = options or Options(limit=LIMIT)
        self.clicks: list[int] = []
        with exploring(scenario, self.options) as interrupt:
            self._path = [self._go_on(self._look(()), None)]
        interrupt.deliver()

    def fresh(self) -> "Game":
        """Another game on the same scenario, at the beginning."""
        game = object.__new__(Game)
        game.scenario, game.options, game.clicks, game._path = self.scenario, self.options, [], self._path[:1]
        return game

    @property
    def position(self) -> Position:
        return self._path[-1]

    @property
    def won(self) -> bool:
        """True if it went wrong, which is what the player wants."""
        return self.position.bug is not None

    def choose(self, task: int, single: bool = False) -> Position:
        """The player's choice: `task` goes on, to where the choice matters next, or by a `single` step.

        Errors: `ValueError` if it cannot go on, or the game is over.
        """
        if task not in self.position.enabled:
            able = ", ".join(map(str, self.position.enabled)) or "none: the game is over"
            raise ValueError(f"task {task} cannot go on here; who can: {able}")
        following = self.after(self.position, task, single)
        self.clicks.append(task)
        self._path.append(following)
        return following

    def undo(self) -> None:
        """Take the last choice back; at the beginning there is none."""
        if self.clicks:
            self.clicks.pop()
            self._path.pop()

    def restart(self) -> None:
        """Back to the beginning."""
        del self.clicks[:], self._path[1:]

    def trace(self) -> Trace:
        """All that happened so far, for the pictures."""
        return record(self.scenario, self.position.schedule, self.options, stop=True)

    # ---------------------------------------------------------------------------------------------------- from here on

    def after(self, at: Position, task: int, single: bool = False) -> Position:
        """Where the choice of `task` leads, from any position `at`."""
        with exploring(self.scenario, self.options) as interrupt:
            following = self._look((*at.schedule, task))
            if not single:
                following = self._go_on(following, task)
        interrupt.deliver()
        return following

    def _go_on(self, at: Position, task: int | None) -> Position:
        """From `at`, where `task` ran last, to where the choice matters, or `FAR` steps on."""
        begin = len(at.schedule)
        while not at.over and len(at.schedule) < begin + FAR:
            if len(at.enabled) == 1:
                (task,) = at.enabled
            elif task is None or task not in at.enabled or self._matters(at, task):
                break
            at = self._look((*at.schedule, task))
        return at

    def _look(self, schedule: tuple[int, ...]) -> Position:
        strategy = Until(schedule)
        execution = run_once(self.scenario, strategy, self.options)
        if execution.bug is not None:
            return Position(schedule, (), execution.bug.kind)
        return Position(schedule, strategy.enabled, None, strategy.fingerprint)

    def _matters(self, at: Position, task: int) -> bool:
        """True if what `task` does next could collide with what the others can do without it."""
        for first in at.enabled:
            if first != task:
                strategy = Until(at.schedule, task, first)
                run_once(self.scenario, strategy, self.options)
                if strategy.collides:
                    return True
        return False


def follow(game: Game, schedule: Sequence[int]) -> list[int] | None:
    """The choices that lead along `schedule` to its bug, but for the order of steps that do not collide.

    None if there are none: the schedule does not end in a bug, not in this game, or needs more than `PATIENCE` clicks.
    """
    game = game.fresh()
    wanted: dict[int, int] = {}
    for task in schedule:
        wanted[task] = wanted.get(task, 0) + 1
        if game.position.schedule.count(task) >= wanted[task]:
            continue  # an earlier choice led past this step
        if task not in game.position.enabled or len(game.clicks) == PATIENCE:
            break
        game.choose(task)
    return game.clicks if game.won else None
