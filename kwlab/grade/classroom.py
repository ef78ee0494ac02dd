"""``kwlab grade FOLDER``: grade a class, with a progress bar, and write its books."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kwlab.grade.classbooks import class_report, write_csv, write_feedback
from kwlab.grade.exercise import Exercise, all_exercises, find
from kwlab.grade.gradebook import Graded, Submission, grade_all, submissions

__all__ = ["STORE", "grade_class"]

STORE = ".kwlab-grades"


def grade_class(
    folder: Path,
    only: list[str] | None = None,
    *,
    csv: Path | None = None,
    feedback: Path | None = None,
    report: Path | None = None,
    jobs: int | None = None,
    anew: bool = False,
) -> str:
    """Grade every submission in `folder` and write what is asked for; a few lines that sum it up.

    Marks are kept in `folder`'s own `.kwlab-grades`, so a second run grades only what has changed.
    Errors: `ExerciseError` for an unknown exercise, or a folder that holds no submissions.
    """
    everything = _handed_in(submissions(folder, [find(name) for name in only] if only else all_exercises()), only)
    store = folder / STORE
    if anew:
        for file in store.glob("*.jsonl"):
            file.unlink()
    graded: dict[tuple[str, str], Graded] = {}
    columns = (TextColumn("grading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("grading", total=len(everything))
        for one in grade_all(everything, store, jobs=jobs):
            graded[one.submission.key] = one
            bar.advance(task)
    ordered = [graded[submission.key] for submission in everything]
    if csv is not None:
        write_csv(ordered, csv)
    if feedback is not None:
        write_feedback(ordered, feedback)
    if report is not None:
        report.write_text(class_report(ordered), encoding="utf-8")
    return _summary(ordered, [file for file in (csv, feedback, report) if file is not None])


def _handed_in(everything: list[Submission], only: list[str] | None) -> list[Submission]:
    """Without the exercises that nobody handed in, unless they were asked for by name."""
    begun: set[str] = {one.exercise.id for one in everything if one.file is not None}
    wanted: set[str] = set(only or ()) | begun
    return [one for one in everything if one.exercise.id in wanted]


def _summary(graded: list[Graded], written: list[Path]) -> str:
    lines = []
    exercises: dict[str, Exercise] = {one.submission.exercise.id: one.submission.exercise for one in graded}
    for name in exercises:
        theirs = [one for one in graded if one.submission.exercise.id == name]
        marks = [one.mark for one in theirs if one.mark is not None]
        solved = sum(mark.solved for mark in marks)
        lines.append(f"{name}: {len(theirs)} learners, {len(marks)} graded, {solved} with full marks")
    lines += [
        f"not graded: {one.submission.learner}, {one.submission.exercise.id}" for one in graded if one.mark is None
    ]
    return "\n".join([*lines, *(f"written: {file}" for file in written)])
