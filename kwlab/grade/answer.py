"""An answer: the text of a learner's marked cells, wherever it comes from.

The first line of a cell says what it answers (``# list_head, part 1``). It is part of the text and not of the
notebook's metadata, so that a running session, a saved notebook and a plain file are read alike.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kwlab.grade.exercise import ExerciseError

__all__ = ["Answer", "cells_of_file", "exercises_in", "marker", "split_cells"]

_MARKER = re.compile(r"\s*# (?P<exercise>\w+), part (?P<part>\d+)\b")
_CELL = re.compile(r"^# %%(?P<kind>.*)\n", re.MULTILINE)


def marker(exercise: str, part: int) -> str:
    """How the first line of the cell for this part begins."""
    return f"# {exercise}, part {part}"


@dataclass(frozen=True)
class Answer:
    """The texts of the answered parts of one exercise, by the part's number."""

    exercise: str
    parts: dict[int, str]

    @classmethod
    def from_cells(cls, exercise: str, cells: Iterable[str]) -> "Answer":
        """The answer in the texts of `cells`; where two are marked alike, the later one counts."""
        parts = {}
        for cell in cells:
            found = _MARKER.match(cell)
            if found and found["exercise"] == exercise:
                parts[int(found["part"])] = cell.strip("\n").rstrip() + "\n"
        return cls(exercise, dict(sorted(parts.items())))

    @classmethod
    def from_file(cls, exercise: str, file: Path) -> "Answer":
        """The answer in a notebook or in a Python file with ``# %%`` cells; `ExerciseError` if there is none."""
        answer = cls.from_cells(exercise, cells_of_file(file))
        if not answer.parts:
            raise ExerciseError(
                f'{file}: no cell begins with "{marker(exercise, 1)}"; '
                f"put that line back, or start anew with: kwlab reset {exercise}"
            )
        return answer

    @property
    def digest(self) -> str:
        """The same for the same text, and only for it."""
        text = "\0".join(f"{part}\0{source}" for part, source in self.parts.items())
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def exercises_in(cells: Iterable[str]) -> list[str]:
    """The ids of the exercises that `cells` answer, in order of appearance."""
    found = (_MARKER.match(cell) for cell in cells)
    return list(dict.fromkeys(one["exercise"] for one in found if one))


def cells_of_file(file: Path) -> list[str]:
    """The texts of the code cells of a notebook, or of a Python file with ``# %%`` cells."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ExerciseError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ExerciseError(f"{file}: not a notebook and not Python text (it is not UTF-8)") from error
    if file.suffix == ".py":
        return [source for kind, source in split_cells(text) if "[markdown]" not in kind]
    # nbformat brings a JSON schema with it: only who reads a notebook waits for that.
    import nbformat

    try:
        notebook = nbformat.reads(text, as_version=4)
        return [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    except Exception as error:  # nbformat has no common base for what a damaged file raises
        raise ExerciseError(f"{file}: not a notebook: {error}") from error


def split_cells(text: str) -> list[tuple[str, str]]:
    """Kind and text of every cell of a Python file whose cells begin with ``# %%``; what comes before is no cell."""
    pieces = _CELL.split(text)
    return [(kind.strip(), source.strip("\n")) for kind, source in zip(pieces[1::2], pieces[2::2], strict=True)]
