"""From the reference to everything that is made of it: the learner's notebook, the stub, the mutants.

reference.py is the notebook as a Python file whose cells begin with ``# %%`` or ``# %% [markdown]``. In a marked
cell the solution stands between two comments, the first of which says what is wanted:

        # solution: link `new` between `head` and the entry that follows it
        ...
        # end solution

The learner gets ``# TODO:`` with that sentence and a line that raises `NotImplementedError`, or, where the solution
has comments that begin with ``# instead:``, their text (an empty one: nothing). In markdown, ``{tests 1}`` becomes the
table of part 1's tests.
"""

import json
import re
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from kwlab.grade.answer import Answer, marker, split_cells
from kwlab.grade.exercise import Exercise, ExerciseError

__all__ = ["Mutant", "marks", "mutants", "notebook", "reference_answer", "serialised", "stripped", "stub_answer"]

_SOLUTION = re.compile(
    r"^(?P<indent> *)# solution: (?P<wanted>[^\n]+)\n(?P<body>.*?)^ *# end solution\n?", re.MULTILINE | re.DOTALL
)
_MARKS = re.compile(r"^ *# (?:solution: |instead:|end solution).*\n?", re.MULTILINE)
_INSTEAD = re.compile(r"^ *# instead:(?P<line>.*)$", re.MULTILINE)
_FUNCTION = re.compile(r"^ *def (?P<name>\w+)", re.MULTILINE)
_TESTS = re.compile(r"^\{tests (?P<part>\d+)\}$", re.MULTILINE)
_WIDTH = 120  # as ruff formats the course
_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def _text(exercise: Exercise) -> str:
    try:
        return exercise.reference.read_text(encoding="utf-8")
    except OSError as error:
        raise ExerciseError(f"{exercise.id}: this edition of the course has no solutions ({error.strerror})") from error


def stripped(source: str, part: int) -> str:
    """`source` as a learner gets it: every marked solution replaced by what is to be done there."""

    def todo(found: re.Match[str]) -> str:
        indent, wanted = found["indent"], found["wanted"]
        instead = [one["line"].removeprefix(" ") for one in _INSTEAD.finditer(found["body"])]
        names = [one["name"] for one in _FUNCTION.finditer(source, 0, found.start())]
        where = f"part {part}, {names[-1]}" if names else f"part {part}"
        said = json.dumps(f"{where}: {wanted}", ensure_ascii=False)
        lines = [line for line in instead if line] if instead else [f"raise NotImplementedError({said})"]
        if not instead and len(indent + lines[0]) > _WIDTH:
            lines = ["raise NotImplementedError(", f"    {said}", ")"]
            if len(indent + lines[1]) > _WIDTH:
                lines = [f"raise NotImplementedError({json.dumps(where)})"]
        return "".join(f"{indent}{line}\n" for line in [f"# TODO: {wanted}", *lines])

    return _SOLUTION.sub(todo, source)


def marks(source: str) -> bool:
    """True if `source` holds marks of a solution."""
    return bool(_MARKS.search(source))


def reference_answer(exercise: Exercise) -> Answer:
    """The right answer, as the text of its cells, without the marks."""
    cells = [source for kind, source in split_cells(_text(exercise)) if "[markdown]" not in kind]
    answer = Answer.from_cells(exercise.id, cells)
    return Answer(exercise.id, {part: _MARKS.sub("", source) for part, source in answer.parts.items()})


def stub_answer(exercise: Exercise) -> Answer:
    """The answer of a learner who has not begun."""
    return Answer.from_cells(exercise.id, [cell.source for cell in notebook(exercise).cells])


def notebook(exercise: Exercise) -> NotebookNode:
    """The notebook that a learner opens."""
    made: NotebookNode = nbformat.v4.new_notebook(metadata={"kernelspec": dict(_KERNEL)})
    for number, (kind, source) in enumerate(split_cells(_text(exercise))):
        options: dict[str, Any] = {"id": f"{exercise.id}-{number}".replace("_", "-")}
        if "[markdown]" in kind:
            text = "\n".join(line.removeprefix("#").removeprefix(" ") for line in source.splitlines())
            table = _TESTS.sub(lambda found: _table(exercise, int(found["part"])), text)
            made.cells.append(nbformat.v4.new_markdown_cell(table, **options))
        else:
            part = next((p.number for p in exercise.parts if source.startswith(marker(exercise.id, p.number))), 0)
            made.cells.append(nbformat.v4.new_code_cell(stripped(source, part).rstrip("\n"), **options))
    return made


def _table(exercise: Exercise, part: int) -> str:
    rows = [f"| `{test.name}` | {test.sentence} | {test.points} |" for test in exercise.tests if test.part == part]
    return "\n".join(["| test | what it asks for | points |", "|---|---|--:|", *rows])


def serialised(exercise: Exercise) -> str:
    """The learner's notebook as the text of its file."""
    text: str = nbformat.writes(notebook(exercise), version=4)
    return text + "\n"


class Mutant:
    """A wrong answer: the reference with some of its functions replaced. `wrong` says in what, `test` must catch it."""

    def __init__(self, exercise: Exercise, file: Path) -> None:
        text = file.read_text(encoding="utf-8")
        found = re.match(r'"""(?P<wrong>.+?)"""\n+# caught by: (?P<test>\w+)\n', text, re.DOTALL)
        if not found:
            raise ExerciseError(
                f'{exercise.id}/mutants/{file.name} must begin with """what is wrong""" and "# caught by: test_name"'
            )
        self.name, self.wrong, self.test = file.stem, " ".join(found["wrong"].split()), found["test"]
        parts = dict(reference_answer(exercise).parts)
        if not parts:
            raise ExerciseError(f'{exercise.id}/reference.py: no cell begins with "{marker(exercise.id, 1)}"')
        last = max(parts)
        # The cells share one namespace: what is defined last is what everybody calls.
        parts[last] += "\n\n" + text[found.end() :]
        self.answer = Answer(exercise.id, parts)


def mutants(exercise: Exercise) -> list[Mutant]:
    """All mutants of the exercise, by name."""
    return [Mutant(exercise, file) for file in exercise.mutants]
