"""The learner's own copies of the course's notebooks: cleared of outputs, and renewed on request."""

from pathlib import Path
from typing import Any

from kwlab.grade.exercise import COURSE, ExerciseError
from kwlab.grade.progress import home

__all__ = ["KERNELSPEC", "cleared", "renew", "set_aside"]

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


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
    import nbformat  # slow to import, and every grader's process imports this package

    books = sorted((course / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    source = next((path for path in books if path.name[:2] == number), None)
    if source is None:
        there = ", ".join(path.name[:2] for path in books)
        raise ExerciseError(f"there is no notebook {number!r}; there are {there or 'none'}")
    copy = home() / "notebooks" / source.name
    if copy.resolve() == source.resolve():
        raise ExerciseError(f"{copy} is the course's own, not a copy: make lab makes yours, in work/")
    text: str = nbformat.writes(cleared(nbformat.read(source, as_version=4)), version=4)
    backup = set_aside(copy)
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(text + "\n", encoding="utf-8")
    return copy, backup
