"""How far the learner is: predictions by notebook, exercises by points."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kwlab.draw.course import Goal, course_picture
from kwlab.draw.svg import Picture
from kwlab.grade import progress as kept
from kwlab.grade.exercise import COURSE, Exercise, all_exercises
from kwlab.widgets.answers import kept_answers

__all__ = ["CourseProgress", "Prediction", "asked_in", "course_outline", "course_progress", "predictions"]

PREDICTION = re.compile(r"\bPredict\(\s*(['\"])(?P<question>.+?)\1")


@dataclass(frozen=True)
class Prediction:
    """A question of a notebook. `right`: whether the first answer was; None without one. `answers`: how many so far."""

    notebook: str
    question: str
    right: bool | None = None
    answers: int = 0


class CourseProgress:
    """What there is to do in the course, and what is done."""

    def __init__(self, predicted: list[Prediction], solved: list[tuple[Exercise, kept.Progress]]) -> None:
        self.predicted, self.solved = predicted, solved

    @property
    def heading(self) -> str:
        answered = sum(one.right is not None for one in self.predicted)
        full = sum(so_far.solved for _, so_far in self.solved)
        return f"{answered} of {len(self.predicted)} predictions made, {full} of {len(self.solved)} exercises solved"

    def picture(self) -> Picture:
        """What is done and what is not."""
        return course_picture(
            f"So far: {self.heading}",
            [
                Goal(_title(one), _outcome(one), sign={None: "", True: "✓", False: "✗"}[one.right])
                for one in self.predicted
            ],
            [
                Goal(exercise.id, _points(exercise, so_far), so_far.points / max(_maximum(exercise), 1))
                for exercise, so_far in self.solved
            ],
        )

    def outline(self) -> Picture:
        """What there is to do: the same for every learner."""
        return course_picture(
            f"To do: {len(self.predicted)} predictions, {len(self.solved)} exercises",
            [Goal(_title(one), "one prediction") for one in self.predicted],
            [Goal(exercise.id, f"{_maximum(exercise)} points") for exercise, _ in self.solved],
        )

    def __repr__(self) -> str:
        rows = [(_title(one), _outcome(one), "") for one in self.predicted]
        rows += [(exercise.id, _points(exercise, so_far), _history(so_far)) for exercise, so_far in self.solved]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines.insert(len(self.predicted), "")
        return "\n".join([f"So far: {self.heading}", "", *lines])


def asked_in(notebook: Path) -> list[str]:
    """The names of the questions that `notebook` asks with `Predict`, in order."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return [found["question"] for source in code for found in PREDICTION.finditer(source)]


def predictions(answers: Mapping[str, list[dict[str, Any]]], course: Path = COURSE) -> list[Prediction]:
    """Each notebook's predictions, and what came of them by the `answers` of `kept_answers`: the first one counts."""
    found = []
    for notebook in sorted((course / "notebooks").glob("*.ipynb")):
        for question in asked_in(notebook):
            tries = answers.get(question, [])
            found.append(Prediction(notebook.stem, question, tries[0]["right"] if tries else None, len(tries)))
    return found


def course_outline() -> CourseProgress:
    """The course for somebody who has done nothing yet. Errors: `ExerciseError` for an exercise that cannot be read."""
    return CourseProgress(predictions({}), [(exercise, kept.Progress()) for exercise in all_exercises()])


def course_progress() -> CourseProgress:
    """The course and what the learner has done. Errors: as `course_outline`; `ValueError` for damaged answers."""
    answers, begun = kept_answers(kept.home() / "notebooks"), kept.read()
    exercises = [(exercise, begun.get(exercise.id, kept.Progress())) for exercise in all_exercises()]
    return CourseProgress(predictions(answers), exercises)


def _title(one: Prediction) -> str:
    return one.notebook.replace("_", " ")


def _outcome(one: Prediction) -> str:
    if one.right is None:
        return "not yet predicted"
    return "right" if one.right else "wrong, and learned from"


def _maximum(exercise: Exercise) -> int:
    return sum(part.points for part in exercise.parts)


def _points(exercise: Exercise, so_far: kept.Progress) -> str:
    state = "solved, " if so_far.solved else "" if so_far.attempts else "new, "
    return f"{state}{so_far.points} of {_maximum(exercise)} points"


def _history(so_far: kept.Progress) -> str:
    hints = sum(so_far.hints.values())
    counts = [(so_far.attempts, "attempt"), (hints, "hint")]
    return ", ".join(f"{count} {word}{'s' * (count > 1)}" for count, word in counts if count)
