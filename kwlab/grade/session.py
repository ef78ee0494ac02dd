"""What a learner calls in a notebook: check, hint, reset, solution.

The answer is what was *run*: of each marked cell the latest text in this session's history, the running cell's too.
Everything returns an object that shows itself, as text in a terminal and as HTML in a notebook.
"""

import sys
from pathlib import Path

from kwlab.grade import progress
from kwlab.grade.answer import Answer, marker
from kwlab.grade.copies import hand_out, renew, set_aside
from kwlab.grade.exercise import Exercise, ExerciseError, find
from kwlab.grade.mark import Mark
from kwlab.grade.run import grade

__all__ = ["Note", "check_exercise", "hint", "learners_notebook", "reset", "solution"]

_forgotten: dict[str, int] = {}
"""By exercise: how much of the session's history a reset has put behind us."""


class Note:
    """A few lines for a learner; `code` is shown as Python."""

    def __init__(self, text: str, code: str = "") -> None:
        self.text, self.code = text, code

    def __repr__(self) -> str:
        return "\n\n".join(piece for piece in (self.text, self.code) if piece)

    def _repr_markdown_(self) -> str:
        return f"{self.text}\n\n```python\n{self.code}\n```" if self.code else self.text


def check_exercise(name: str) -> Mark:
    """Grade the answer to the exercise `name` in this notebook, and count the attempt.

    Raises `ExerciseError` for an unknown name, outside a notebook, or where no cell of the exercise was run.
    """
    exercise = find(name)
    cells = _history()[_forgotten.get(name, 0) :]
    answer = Answer.from_cells(name, cells)
    if not answer.parts:
        raise ExerciseError(
            f'no cell that was run in this session begins with "{marker(name, 1)}": '
            f"run the cells of the exercise (with those first lines), then check again"
        )
    mark = grade(exercise, answer, seed=progress.learner())
    progress.record(mark, notebook=True)
    return mark


def _history() -> list[str]:
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        raise ExerciseError(
            "check() with an exercise's name is for notebooks, where it finds your cells; "
            "on the command line it is: kwlab grade FILE"
        )
    cells: list[str] = list(shell.history_manager.input_hist_raw)
    return cells


def hint(name: str, part: int | None = None) -> Note:
    """The next of three hints for `part`, or for the first part of the exercise that is not solved yet."""
    exercise = find(name)
    so_far = progress.read().get(name, progress.Progress())
    if so_far.problems:
        return Note(f"Before any hint: {so_far.problems[0]}.")
    if part is None:
        open_parts = [one.number for one in exercise.parts if one.number not in so_far.solved_parts]
        if not open_parts:
            return Note(f'All parts are solved: solution("{name}") shows how the course writes it.')
        part = open_parts[0]
    hints = exercise.part(part).hints
    with progress.change(name) as changed:
        tier = min(changed.hints.get(str(part), 0) + 1, len(hints))
        changed.hints[str(part)] = tier
    return Note(f"Hint {tier} of {len(hints)} for part {part}: {hints[tier - 1]}")


def solution(name: str) -> Note:
    """How the course writes the answer; for those who have solved the exercise."""
    exercise = find(name)
    so_far = progress.read().get(name, progress.Progress())
    if not so_far.solved:
        points = f" (so far: {so_far.points} of {so_far.maximum} points)" if so_far.maximum else ""
        return Note(f'The solution opens with full marks{points}. Until then there is hint("{name}").')
    from kwlab.grade.reference import reference_answer

    return Note(f"How the course writes {name}:", "\n\n".join(reference_answer(exercise).parts.values()))


def learners_notebook(exercise: Exercise) -> Path:
    """Where the learner's copy of the exercise's notebook is, or will be."""
    here = Path.cwd() / exercise.notebook.name
    if here.exists() and here.resolve() != exercise.notebook:
        return here
    return progress.home() / "exercises" / exercise.folder.name / exercise.notebook.name


def reset(name: str) -> Note:
    """Put an exercise's notebook, or the notebook of the course with the number `name` ("03"), back as handed out.

    The learner's is kept beside it. Of an exercise, attempts stay counted; the mark, the hints and the cells that were
    run so far are forgotten.
    """
    if name.isdecimal():
        return _renewed(*renew(name))
    exercise = find(name)
    file = learners_notebook(exercise)
    backup = set_aside(file)
    folder = progress.home() if file.is_relative_to(progress.home()) else file.parent
    hand_out(exercise.notebook, folder, file.relative_to(folder))
    with progress.change(name) as changed:
        attempts = changed.attempts
        vars(changed).update(vars(progress.Progress(attempts=attempts)))
    try:
        _forgotten[name] = len(_history())
    except ExerciseError:
        pass  # no session, so no cells to forget
    return _renewed(file, backup)


def _renewed(file: Path, backup: Path | None) -> Note:
    kept = f" Yours is kept as {backup.name}." if backup else ""
    return Note(f"{file.name} is as it was handed out.{kept} In JupyterLab: File > Reload Notebook from Disk.")
