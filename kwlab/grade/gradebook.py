"""A class's submissions: find them, grade them side by side, and write what an instructor needs.

A folder of submissions holds one folder for each learner (its name is the learner's id), or one notebook for each.
Every mark is stored as soon as it is given, so a run that was interrupted goes on where it was; a submission that is
damaged, hangs or is hostile has its own row that says so, and stops nothing.
"""

import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kwlab.grade.answer import Answer, cells_of_file, exercises_in
from kwlab.grade.exercise import Exercise, ExerciseError
from kwlab.grade.mark import Mark
from kwlab.grade.progress import FILE
from kwlab.grade.run import GradingError
from kwlab.grade.warm import WarmReferee

__all__ = ["Graded", "Submission", "grade_all", "submissions"]

MAX_SIZE = 20 * 2**20  # bytes of a notebook that is read at all
_STORED = "marks.jsonl"


@dataclass(frozen=True)
class Submission:
    """What one learner handed in for one exercise: the file, or none."""

    learner: str
    exercise: Exercise
    file: Path | None

    @property
    def key(self) -> tuple[str, str]:
        """The learner's id and the exercise's."""
        return self.learner, self.exercise.id


@dataclass(frozen=True)
class Graded:
    """A submission and its mark; without a mark `trouble` says why. `attempts` is None where nobody counted."""

    submission: Submission
    mark: Mark | None
    trouble: str = ""
    attempts: int | None = None
    handed_in: str = ""

    @property
    def points(self) -> int:
        return self.mark.points if self.mark else 0


def submissions(folder: Path, exercises: list[Exercise]) -> list[Submission]:
    """Every learner with every exercise, those without a file too. Errors: `ExerciseError` if nobody is there."""
    if not folder.is_dir():
        raise ExerciseError(f"{folder} is no folder: give one that holds a folder, or a notebook, for each learner")
    found = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith((".", "_")) or entry.name == "feedback":
            continue
        if entry.is_dir():
            files = sorted(path for path in entry.rglob("*") if path.suffix in (".ipynb", ".py") and _wanted(path))
            found += [Submission(entry.name, one, _file_for(one, files)) for one in exercises]
        elif entry.suffix == ".ipynb" and _wanted(entry):
            found += [Submission(entry.stem, one, entry) for one in exercises]
    if not found:
        raise ExerciseError(f"{folder} holds no submissions: a folder, or a notebook, for each learner")
    return found


def _wanted(path: Path) -> bool:
    if ".ipynb_checkpoints" in path.parts or ".before-reset-" in path.name:
        return False
    return path.is_file() and not path.is_symlink()  # no pipe, and nothing that leads out of the folder


def _file_for(exercise: Exercise, files: list[Path]) -> Path | None:
    named = [file for file in files if file.stem == exercise.id]
    if named:
        return named[0]
    for file in files:
        try:
            if exercise.id in exercises_in(cells_of_file(file)):
                return file
        except ExerciseError:
            continue
    return None


def grade_all(everything: list[Submission], store: Path, *, jobs: int | None = None) -> Iterator[Graded]:
    """The marks, as they come. What the folder `store` holds of the same text is not graded again."""
    store.mkdir(parents=True, exist_ok=True)
    known = _stored(store / _STORED)
    referees = threading.local()
    started: list[WarmReferee] = []
    lock = threading.Lock()

    def one(submission: Submission) -> Graded:
        referee = getattr(referees, "one", None)
        if referee is None:
            referee = referees.one = WarmReferee()
            with lock:
                started.append(referee)
        return _grade(submission, referee, known)

    with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool, open(store / _STORED, "a", encoding="utf-8") as out:
        try:
            waiting = [pool.submit(one, submission) for submission in everything]
            try:
                for future in as_completed(waiting):
                    graded = future.result()
                    if graded.mark is not None:
                        row = {"learner": graded.submission.learner, "mark": _light(graded.mark)}
                        out.write(json.dumps(row) + "\n")
                        out.flush()
                    yield graded
            finally:
                for future in waiting:
                    future.cancel()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            for referee in started:
                referee.close()


def _grade(submission: Submission, referee: WarmReferee, known: dict[tuple[str, str, str], Mark]) -> Graded:
    file, exercise = submission.file, submission.exercise
    if file is None:
        return Graded(submission, None, "nothing handed in")
    attempts, handed_in = _attempts(file, exercise.id), ""
    try:
        about = file.stat()
        handed_in = datetime.fromtimestamp(about.st_mtime, UTC).strftime("%Y-%m-%d %H:%M:%S")
        if about.st_size > MAX_SIZE:
            return Graded(submission, None, f"{file.name} has {about.st_size:,} bytes", attempts, handed_in)
        answer = Answer.from_file(exercise.id, file)
        mark = known.get((submission.learner, exercise.id, answer.digest))
        if mark is None:
            mark = referee.grade(exercise, answer, seed=submission.learner)
    except (ExerciseError, GradingError, OSError, RecursionError) as error:
        return Graded(submission, None, str(error), attempts, handed_in)
    return Graded(submission, mark, "", attempts, handed_in)


def _attempts(file: Path, exercise: str) -> int | None:
    for folder in list(file.parents)[:3]:
        try:
            table: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
            return int(table["exercises"][exercise]["attempts"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _light(mark: Mark) -> dict[str, Any]:
    """The mark without traces: they make a gradebook a hundred times as large, and can be had again."""
    table = mark.to_dict()
    for score in table["scores"]:
        score["evidence"] = None
    return table


def _stored(file: Path) -> dict[tuple[str, str, str], Mark]:
    known = {}
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
                mark = Mark.from_dict(row["mark"])
            except (ValueError, KeyError, TypeError):
                continue  # the line that an interrupted run left unfinished
            known[row["learner"], mark.exercise, mark.digest] = mark
    return known
