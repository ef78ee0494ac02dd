"""How far the learner is: predictions by notebook, exercises by points."""

import re
from pathlib import Path

import nbformat

from kwlab.grade import progress as exercises
from kwlab.grade.exercise import COURSE
from kwlab.grade.session import Table, status
from kwlab.widgets.answers import kept_answers

__all__ = ["CourseProgress", "asked_in", "predictions", "progress"]

PREDICTION = re.compile(r"\bPredict\(\s*(['\"])(?P<question>.+?)\1")


class CourseProgress:
    """Two tables that show themselves, as text in a terminal and as HTML in a notebook."""

    def __init__(self, predicted: Table, solved: Table) -> None:
        self.tables = {"Predictions": predicted, "Exercises": solved}

    def __repr__(self) -> str:
        return "\n\n".join(f"{title}\n{table!r}" for title, table in self.tables.items())

    def _repr_html_(self) -> str:
        return "".join(f"<p><b>{title}</b></p>{table._repr_html_()}" for title, table in self.tables.items())


def asked_in(notebook: Path) -> list[str]:
    """The names of the questions that `notebook` asks with `Predict`, in order."""
    cells = nbformat.read(notebook, as_version=4).cells
    return [
        found["question"] for cell in cells if cell.cell_type == "code" for found in PREDICTION.finditer(cell.source)
    ]


def predictions(course: Path = COURSE, folder: Path | None = None) -> Table:
    """Each notebook's predictions, and what came of the learner's: the first answer counts.

    `folder`: where the answers are, by default the notebooks' folder of the learner.
    Errors: `ValueError` if the file of answers is damaged.
    """
    kept = kept_answers(exercises.home() / "notebooks" if folder is None else folder)
    rows = []
    for notebook in sorted((course / "notebooks").glob("*.ipynb")):
        for question in asked_in(notebook):
            tries = kept.get(question, [])
            first = "not yet answered" if not tries else "right" if tries[0]["right"] else "wrong, and learned from"
            rows.append((notebook.stem, question, first, len(tries)))
    return Table(("notebook", "prediction", "first answer", "answers"), rows)


def progress() -> CourseProgress:
    """Your predictions and your exercises so far."""
    return CourseProgress(predictions(), status())
