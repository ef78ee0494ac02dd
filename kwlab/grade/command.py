"""``kwlab grade``, ``hint``, ``reset``, ``solution`` and ``kwlab exercise``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from kwlab.grade import progress, session
from kwlab.grade.answer import Answer, cells_of_file, exercises_in
from kwlab.grade.exercise import Exercise, ExerciseError, all_exercises, find
from kwlab.grade.mark import Mark
from kwlab.grade.run import GradingError
from kwlab.grade.run import grade as grade_answer

__all__ = ["grade_file", "register"]

exercise_app = typer.Typer(help="For authors: check exercises, and make their notebooks.", no_args_is_help=True)


def grade_file(exercise: Exercise, file: Path) -> Mark:
    """The mark of a saved notebook; counted as an attempt if it is the learner's own."""
    answer = Answer.from_file(exercise.id, file)
    mark = grade_answer(exercise, answer, seed=progress.learner())
    if file.resolve().is_relative_to(progress.home().resolve()):
        progress.record(mark, notebook=False)
    return mark


def _targets(target: str | None) -> list[tuple[Exercise, Path]]:
    """The exercises to grade, each with the file that answers it."""
    if target is None:
        begun = [(exercise, session.learners_notebook(exercise)) for exercise in all_exercises()]
        there = [(exercise, file) for exercise, file in begun if file.exists()]
        if not there:
            raise ExerciseError(f"no exercise's notebook is in {progress.home()}: make lab puts them there")
        return there
    file = Path(target)
    if file.suffix in (".ipynb", ".py") or file.is_file():
        answered = exercises_in(cells_of_file(file))
        if not answered:
            raise ExerciseError(f'{file}: no cell begins with "# NAME, part N", as those of an exercise do')
        return [(find(name), file) for name in answered]
    exercise = find(target)
    file = session.learners_notebook(exercise)
    if not file.exists():
        raise ExerciseError(f"{file} is not there: make lab puts it there, or name the notebook: kwlab grade FILE")
    return [(exercise, file)]


def grade(
    target: Annotated[
        str | None,
        typer.Argument(metavar="[FILE|EXERCISE|FOLDER]", help="A saved notebook, an exercise, or a class's folder."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The marks as JSON, for other programs.")] = False,
    csv: Annotated[Path | None, typer.Option(help="For a class: the gradebook to write.")] = None,
    only: Annotated[list[str] | None, typer.Option("--exercise", help="For a class: these exercises only.")] = None,
    feedback: Annotated[Path | None, typer.Option(help="For a class: a folder for a page for each learner.")] = None,
    report: Annotated[Path | None, typer.Option(help="For a class: a file for what failed most often.")] = None,
    jobs: Annotated[
        int | None, typer.Option(help="For a class: how many at once; by default one for each CPU.")
    ] = None,
    anew: Annotated[bool, typer.Option("--anew", help="For a class: grade again what was graded before.")] = False,
) -> None:
    """Grade exercises as check() does in the notebook. Ends with 1 if points are missing, 2 if nothing was graded.

    Of a FOLDER that holds a folder, or a notebook, for each learner, it grades all: see --csv, --feedback, --report.
    """
    try:
        if target is not None and Path(target).is_dir():
            from kwlab.grade.classroom import grade_class

            typer.echo(grade_class(Path(target), only, csv=csv, feedback=feedback, report=report, jobs=jobs, anew=anew))
            return
        marks = []
        for exercise, file in _targets(target):
            checked = progress.read().get(exercise.id, progress.Progress()).checked
            mark = grade_file(exercise, file)
            marks.append(mark)
            if not as_json:
                typer.echo(mark.text())
            own = file.resolve().is_relative_to(progress.home().resolve())
            if own and checked and checked != mark.digest:
                typer.echo(
                    f"Note: {file.name} as saved is not what check() last saw in the notebook: "
                    "save it, or run its cells and check again.",
                    err=True,
                )
    except (ExerciseError, GradingError, OSError) as error:
        _complain(error)
    if as_json:
        typer.echo(json.dumps([mark.to_dict() for mark in marks], indent=1, ensure_ascii=False))
    raise typer.Exit(0 if all(mark.solved for mark in marks) else 1)


def release(
    folder: Annotated[Path, typer.Argument(help="Where to write it; must not be there yet.")],
    graders: Annotated[bool, typer.Option(help="With the graders, so that learners can check.")] = True,
) -> None:
    """Write the student edition: the course without solutions, mutants and tests."""
    from kwlab.grade.release import release as write_edition

    try:
        ids = write_edition(folder, graders=graders)
    except (ExerciseError, OSError) as error:
        _complain(error)
    typer.echo(f"{folder}: the course with {len(ids)} exercises ({', '.join(ids)})")


def hint(
    exercise: Annotated[str, typer.Argument(help="The exercise's name.")],
    part: Annotated[int | None, typer.Option(help="A part; by default the first that is not solved.")] = None,
) -> None:
    """The next hint; there are three for each part."""
    try:
        typer.echo(repr(session.hint(exercise, part)))
    except ExerciseError as error:
        _complain(error)


def reset(
    name: Annotated[str, typer.Argument(metavar="EXERCISE|NUMBER", help="An exercise, or a notebook's number: 03.")],
) -> None:
    """Begin an exercise or a notebook anew; yours is kept beside the new one."""
    try:
        typer.echo(repr(session.reset(name)))
    except (ExerciseError, OSError) as error:
        _complain(error)


def solution(exercise: Annotated[str, typer.Argument(help="The exercise's name.")]) -> None:
    """How the course writes it; after full marks."""
    try:
        typer.echo(repr(session.solution(exercise)))
    except ExerciseError as error:
        _complain(error)


@exercise_app.command("lint")
def lint(
    names: Annotated[list[str] | None, typer.Argument(help="Exercises; by default all.")] = None,
    files_only: Annotated[bool, typer.Option("--files-only", help="Grade nothing: only look at the files.")] = False,
) -> None:
    """Is an exercise fit to be handed out? Says what is not; ends with 1 if anything is."""
    from kwlab.grade import lint as linter

    try:
        everything = all_exercises()
        chosen = [find(name) for name in names] if names else everything
    except ExerciseError as error:
        _complain(error)
    found = linter.faults_of_all(everything)
    for exercise in chosen:
        here = [*linter.faults_of_files(exercise)] if files_only else linter.faults(exercise)
        typer.echo(f"{exercise.id}: {'not fit' if here else 'fit'} to be handed out")
        found += here
    for fault in found:
        typer.echo(fault, err=True)
    raise typer.Exit(1 if found else 0)


@exercise_app.command("generate")
def generate(names: Annotated[list[str] | None, typer.Argument(help="Exercises; by default all.")] = None) -> None:
    """Make the learner's notebook of each exercise anew from its reference."""
    from kwlab.grade.reference import serialised

    try:
        for exercise in [find(name) for name in names] if names else all_exercises():
            exercise.notebook.write_text(serialised(exercise), encoding="utf-8")
            typer.echo(f"{exercise.id}: {exercise.notebook.name} made")
    except ExerciseError as error:
        _complain(error)


def _complain(error: Exception) -> None:
    typer.echo(str(error), err=True)
    raise typer.Exit(2)


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    for command in (grade, hint, reset, solution, release):
        app.command()(command)
    app.add_typer(exercise_app, name="exercise")
