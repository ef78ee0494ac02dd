"""The student edition: the course's tree without solutions, mutants and tests; without graders, if they are private.

What an exercise hides is packed (`kwlab.grade.hidden`).
"""

import shutil
from pathlib import Path

from kwlab.grade.exercise import COURSE, ExerciseError, all_exercises
from kwlab.grade.hidden import HIDDEN, PACKED, pack

__all__ = ["release"]

_KEPT = (
    "LICENSE Makefile README.md constraints.txt docs environment.yml jupyter kwlab notebooks pyproject.toml tools"
).split()
_LITTER = shutil.ignore_patterns("__pycache__", "*.pyc", ".ipynb_checkpoints", "*.egg-info", ".*.tmp")
_HANDED_OUT = ("exercise.toml", "probe.py", "grader.py")


def release(target: Path, *, graders: bool = True) -> list[str]:
    """Write the student edition to `target`, a folder that is not there yet; the ids of its exercises.

    Without `graders` an exercise can be done but not checked: whoever has the graders grades it.
    Errors: `ExerciseError` if `target` is there, or this course is an edition itself.
    """
    if target.exists():
        raise ExerciseError(f"{target} is there already: name a folder that is not, or remove it")
    exercises = [exercise for exercise in all_exercises() if exercise.folder.is_relative_to(COURSE)]
    if not exercises or not all(exercise.reference.exists() for exercise in exercises):
        raise ExerciseError(f"{COURSE} is no whole course: a student edition is made from one that has its solutions")
    target.mkdir(parents=True)
    for name in _KEPT:
        source = COURSE / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=_LITTER)
        elif source.exists():
            shutil.copy2(source, target / name)
    for exercise in exercises:
        folder = target / exercise.folder.relative_to(COURSE)
        folder.mkdir(parents=True)
        for name in (exercise.notebook.name, *_HANDED_OUT[: None if graders else 1]):
            if (exercise.folder / name).exists():
                shutil.copy2(exercise.folder / name, folder / name)
        if graders and (exercise.folder / HIDDEN).exists():
            (folder / PACKED).write_text(pack((exercise.folder / HIDDEN).read_text(encoding="utf-8")), encoding="ascii")
    return [exercise.id for exercise in exercises]
