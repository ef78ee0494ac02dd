"""`BeTheScheduler`: the learner decides who goes on, and tries to make the code go wrong."""

from collections.abc import Callable
from html import escape

import ipywidgets

from kwlab.draw.lanes import lanes_picture
from kwlab.draw.moment import moment_picture
from kwlab.draw.source import source_picture
from kwlab.draw.svg import Picture
from kwlab.explore.answers import Answer, shortest_answer
from kwlab.explore.engine import Options, Scenario
from kwlab.explore.game import Game
from kwlab.explore.meanings import MEANINGS
from kwlab.explore.trace_format import Trace
from kwlab.widgets.pictured import Pictured, button, said
from kwlab.widgets.player import Player, side_by_side

__all__ = ["BeTheScheduler"]

GOAL = "Make it go wrong: a hang, a lost wake-up, a failed assertion, any bug counts."


class BeTheScheduler(Pictured):
    """Decide who goes on in `scenario`, a function such as `check` takes, until it goes wrong. `goal` is one line.

    A click lets a task go on to the next step where the choice matters: where it could collide with another task, or
    can go no further. With "single steps" a click is one step. Every kind of bug that `check` looks for wins; for data
    races and invariants too, give it `options`, such as ``Options(races=True)``. "show me" plays the shortest answer.
    Nothing of the scenario runs as a thread of this kernel.
    """

    def __init__(self, scenario: Scenario, goal: str = GOAL, options: Options | None = None) -> None:
        if not callable(scenario):
            raise TypeError(f"BeTheScheduler() plays a scenario, a function without arguments, not {scenario!r}")
        self.game = Game(scenario, options)
        self.goal = goal
        super().__init__()
        self._trace = self.game.trace()
        self._answer: Answer | None = None
        self._shown = False  # the choices are not the learner's
        self._start = self._pictures_of(self._trace)
        self._tasks: dict[int, ipywidgets.HBox] = {}  # a button and a text each; kept, or the focus would be lost
        self._rows = ipywidgets.VBox()
        self._said, self._lanes, self._moment, self._source = (ipywidgets.HTML() for _ in range(4))
        self._below = side_by_side(self._moment, self._source)
        self._pictures = ipywidgets.VBox()
        self._single = ipywidgets.Checkbox(
            description="single steps", indent=False, layout=ipywidgets.Layout(width="auto")
        )
        controls = [
            button("undo", "Take the last choice back", self.undo),
            button("start again", "Back to the beginning", self.restart),
            button("show me", "Play the shortest answer", self.show_me),
            self._single,
        ]
        heading = ipywidgets.HTML(f"<b>Be the scheduler.</b> {escape(goal)}")
        self.children = [heading, self._rows, ipywidgets.HBox(controls), self._said, self._pictures]
        self._look("Who goes on?")

    # --------------------------------------------------------------------------------------------- what the buttons do

    def choose(self, task: int) -> None:
        """Let task number `task` go on."""
        state = self._trace.steps[-1].state.tasks[task]
        if self.game.position.over:
            self._say("The game is over: undo, or start again.")
        elif task not in self.game.position.enabled:
            self._say(f"{self._trace.name_of(task)} cannot go on now: it {state.doing}. Choose another.")
        else:
            before = len(self._trace.steps)
            self._shown = False
            self.game.choose(task, self._single.value)
            self._look("", before)

    def undo(self) -> None:
        """Take the last choice back."""
        words = "The last choice is taken back." if self.game.clicks else "This is the beginning."
        self.game.undo()
        self._look(words)

    def restart(self) -> None:
        """Back to the beginning."""
        self.game.restart()
        self._look("From the beginning. Who goes on?")

    def show_me(self) -> None:
        """Play the shortest answer, to be looked at step by step."""
        answer = self.answer()
        if answer.clicks is None:
            self._say(f"There is nothing to show: {answer.proof}.")
            return
        self.game.restart()
        for task in answer.clicks:
            self.game.choose(task)
        self._shown = True
        self._look(f"The shortest answer: {self._clicks(answer.clicks)} ({answer.proof}).")

    def answer(self) -> Answer:
        """The shortest answer, looked for when it is first needed."""
        if self._answer is None:
            self._answer = shortest_answer(self.game)
        return self._answer

    def _clicks(self, clicks: tuple[int, ...]) -> str:
        names = ", ".join(self._trace.name_of(task) for task in clicks)
        return f"{len(clicks)} click{'s' * (len(clicks) != 1)}" + (f", {names}" if names else "")

    # ------------------------------------------------------------------------------------------------ what is shown

    def _say(self, *lines: str) -> None:
        self._said.value = said(*lines)

    def _look(self, words: str, before: int | None = None) -> None:
        """Show where the game stands. `before`: how many steps the trace had before the last click."""
        trace = self._trace = self.game.trace()
        number = len(self.game.clicks)
        if before is not None:
            steps = trace.steps[before:]
            words = f"Click {number}: " + "; then ".join(step.sentence for step in steps[:3])
            more = len(steps) - 3
            words += f"; and {more} more step{'s' * (more > 1)}" if more > 0 else ""
            words += "." if self.game.position.over else ". Who goes on?"
        lines = [words] if words else []
        if self.game.won:
            lines += self._verdict()
        elif self.game.position.over:
            lines.append("Everything is over, and nothing went wrong on this way: undo, or start again.")
        self._say(*lines)
        self._show_tasks()
        if self.game.won:
            self._pictures.children = [Player(trace, len(trace.steps) - 1)]
        else:
            self._lanes.value = lanes_picture(trace, len(trace.steps) - 1).svg
            self._moment.value = moment_picture(trace).svg
            self._source.value = source_picture(trace).svg
            self._pictures.children = [self._lanes, self._below]

    def _verdict(self) -> list[str]:
        """What went wrong, how good the answer was, and what this kind of bug is."""
        bug = self._trace.bug
        assert bug is not None
        what = f"{bug.kind}: {bug.sentence}."
        meaning = MEANINGS.get(bug.kind, "")
        if self._shown:
            return [f"✗ {what}", meaning]
        score, best = len(self.game.clicks), self.answer()
        shorter = best.clicks is not None and len(best.clicks) < score
        against = f"the shortest answer takes {len(best.clicks or ())}" if shorter else "no shorter answer is known"
        won = f"✗ You made it go wrong in {score} click{'s' * (score != 1)}; {against}."
        return [won, what[0].upper() + what[1:], meaning]

    def _show_tasks(self) -> None:
        state, enabled = self._trace.steps[-1].state, self.game.position.enabled
        for number, task in state.tasks.items():
            name = self._trace.name_of(number)
            if number not in self._tasks:
                made = button(name, f"{name} goes on", self._chooser(number))
                made.layout.width = "12em"
                self._tasks[number] = ipywidgets.HBox([made, ipywidgets.HTML()])
            made, where = self._tasks[number].children
            able = number in enabled
            made.description = f"{'▶' if able else '·'} {name}"
            line = (
                f"{task.place.function}() line {task.place.line}: <code>{escape(task.place.text)}</code>"
                if task.place
                else ""
            )
            doing = "can go on" if able else escape(task.doing)
            where.value = f"{doing}{', at ' if line else ''}{line}"
        self._rows.children = [self._tasks[number] for number in state.tasks]

    def _chooser(self, number: int) -> Callable[[], None]:
        return lambda: self.choose(number)

    def _pictures_of(self, trace: Trace) -> Picture:
        moment, source = moment_picture(trace), source_picture(trace)
        html = f"<div><p><b>Be the scheduler.</b> {escape(self.goal)}</p>{moment.still}{source.still}</div>"
        return Picture(html, f"Be the scheduler: {self.goal} At the start: {moment.label}")

    def picture(self) -> Picture:
        """The goal and the start; never an answer."""
        return self._start
