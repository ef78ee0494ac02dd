"""The learner's own copies of the course's notebooks: handed out without outputs, renewed unless they were edited.

What was handed out is remembered beside the copies, as a digest of the text of its cells, so that an update of the
course can tell a copy that nobody edited from a learner's work. That a copy was run is no edit: its outputs come again.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kwlab.files import put
from kwlab.grade.exercise import COURSE, ExerciseError
from kwlab.grade.progress import home

__all__ = ["FILE", "KERNELSPEC", "HandedOut", "cleared", "hand_out", "renew", "set_aside", "update"]

FILE = ".kwlab-copies.json"
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


@dataclass
class HandedOut:
    """What `update` did: copies that are new, renewed, as they were, and edited ones; `behind` are those of the edited
    that the course has changed since."""

    made: list[Path] = field(default_factory=list)
    renewed: list[Path] = field(default_factory=list)
    same: list[Path] = field(default_factory=list)
    edited: list[Path] = field(default_factory=list)
    behind: list[Path] = field(default_factory=list)


def cleared(notebook: Any) -> Any:
    """`notebook` (a nbformat `NotebookNode`) itself, with nothing left of any earlier run."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["kernelspec"] = dict(KERNELSPEC)
    for cell in notebook.cells:
        for timing in ("execution", "ExecuteTime"):
            cell.metadata.pop(timing, None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def hand_out(source: Path, folder: Path, place: Path) -> Path:
    """Put a clean copy of the notebook `source` at `place` in the learner's `folder`, over whatever is there."""
    clean = _clean(source)
    put(folder / place, clean)
    kept = _kept(folder) | {place.as_posix(): _digests(clean)}
    put(folder / FILE, json.dumps(dict(sorted(kept.items())), indent=1) + "\n")
    return folder / place


def update(sources: list[Path], course: Path, folder: Path) -> HandedOut:
    """Hand out each of `sources`, notebooks of `course`, that `folder` lacks or has only an unedited older copy of.

    An edited copy stays as it is. So does one of which nobody knows what was handed out, and one that cannot be read.
    """
    kept, done = _kept(folder), HandedOut()
    for source in sources:
        place = source.relative_to(course)
        copy, given, newest = folder / place, kept.get(place.as_posix(), ["", ""]), _digests(_clean(source))
        if not copy.exists():
            done.made.append(hand_out(source, folder, place))
        elif _text_of(copy) not in (given[0], newest[0]):
            done.edited.append(copy)
            if given[0] != newest[0]:
                done.behind.append(copy)
        elif given == newest:
            done.same.append(copy)
        else:
            done.renewed.append(hand_out(source, folder, place))
    return done


def set_aside(file: Path) -> Path | None:
    """Rename `file` to a name beside it that is free, and say which; None if there is no such file."""
    if not file.exists():
        return None
    number = 1
    while (backup := file.with_name(f"{file.stem}.before-reset-{number}.ipynb")).exists():
        number += 1
    file.rename(backup)
    return backup


def renew(number: str, course: Path = COURSE) -> tuple[Path, Path | None]:
    """Put a clean copy of the course's notebook `number` ("03") into the learner's folder.

    Returns the copy, and the name that the learner's own now has, if there was one.
    Errors: `ExerciseError` if the course has no such notebook.
    """
    books = sorted((course / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    source = next((path for path in books if path.name[:2] == number), None)
    if source is None:
        there = ", ".join(path.name[:2] for path in books)
        raise ExerciseError(f"there is no notebook {number!r}; there are {there or 'none'}")
    copy = home() / "notebooks" / source.name
    if copy.resolve() == source.resolve():
        raise ExerciseError(f"{copy} is the course's own, not a copy: make lab makes yours, in work/")
    backup = set_aside(copy)
    return hand_out(source, home(), Path("notebooks", source.name)), backup


def _clean(source: Path) -> str:
    import nbformat  # slow to import, and every grader's process imports this package

    text: str = nbformat.writes(cleared(nbformat.read(source, as_version=4)), version=4)
    return text + "\n"


def _digests(notebook: str) -> list[str]:
    """Of the kind and the text of every cell, in order, and of the whole file: what is hidden, what is folded."""
    texts = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(notebook)["cells"]]
    return [hashlib.sha256(text.encode()).hexdigest() for text in (json.dumps(texts), notebook)]


def _text_of(copy: Path) -> str | None:
    try:
        return _digests(copy.read_text(encoding="utf-8"))[0]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # damaged, or no notebook any more: the learner's all the same


def _kept(folder: Path) -> dict[str, list[str]]:
    """The digests of what was handed out, by place; none if that is not known: then a copy must be as the newest."""
    try:
        kept = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}
