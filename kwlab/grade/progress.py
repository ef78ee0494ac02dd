"""What a learner has done so far, in one JSON file of the learner's own folder.

The folder is ``KWLAB_HOME`` if that is set, else the nearest folder, from the current one upwards, that has such a
file, else the course's `work/` for whoever is inside the course, else the current folder. Two sessions may check at
once: a change is made under a lock and put in place by a rename, so a reader finds the old file or the new one, whole.
"""

import fcntl
import getpass
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from kwlab.files import put
from kwlab.grade.exercise import COURSE
from kwlab.grade.mark import Mark

__all__ = ["FILE", "Progress", "change", "home", "learner", "read", "record"]

FILE = ".kwlab-progress.json"
_VERSION = 1


@dataclass
class Progress:
    """One exercise: `checked` is the digest of what a notebook's check() last saw, `hints` the tiers shown by part."""

    attempts: int = 0
    points: int = 0
    maximum: int = 0
    solved: bool = False
    solved_parts: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    hints: dict[str, int] = field(default_factory=dict)
    checked: str = ""
    when: str = ""


def home() -> Path:
    """The learner's folder."""
    if named := os.environ.get("KWLAB_HOME"):
        return Path(named)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / FILE).exists():
            return folder
    return COURSE / "work" if here.is_relative_to(COURSE) and (COURSE / "exercises").is_dir() else here


def learner() -> str:
    """Who this is: ``KWLAB_LEARNER``, as the instructor knows you; else the name you are logged in with.

    Some exercises choose by it what an answer is tried with, so it should be the same whenever you check.
    """
    named = os.environ.get("KWLAB_LEARNER")
    try:
        return named or getpass.getuser()
    except (OSError, KeyError):
        return "somebody"


def read() -> dict[str, Progress]:
    """The progress in every exercise that was begun, by id."""
    return _read(home() / FILE)


@contextmanager
def change(exercise: str) -> Iterator[Progress]:
    """The progress in one exercise, to be changed; stored when the block ends without an error."""
    folder = home()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE
    with open(folder / f"{FILE}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        everything = _read(file, keep_damaged=True)
        progress = everything.setdefault(exercise, Progress())
        yield progress
        table = {"version": _VERSION, "exercises": {name: asdict(one) for name, one in everything.items()}}
        put(file, json.dumps(table, indent=1) + "\n")


def record(mark: Mark, *, notebook: bool) -> None:
    """Count one attempt. `notebook`: it was a running notebook's, which the saved file may differ from."""
    with change(mark.exercise) as progress:
        progress.attempts += 1
        progress.points, progress.maximum = mark.points, mark.maximum
        progress.solved = progress.solved or mark.solved
        progress.solved_parts = mark.solved_parts()
        progress.problems = mark.faults()
        progress.when = datetime.now().isoformat(" ", "minutes")
        if notebook:
            progress.checked = mark.digest


def _read(file: Path, *, keep_damaged: bool = False) -> dict[str, Progress]:
    try:
        table: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return {name: Progress(**one) for name, one in table["exercises"].items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError):
        if keep_damaged:
            # Somebody's history: not ours to throw away because we cannot read it.
            file.replace(file.with_name(f"{FILE}.damaged"))
        return {}
