"""What an exercise is: one folder, described by its `exercise.toml`.

    exercise.toml    id, title, order, minutes, what the answer may use, and its parts with points and hints
    reference.py     the notebook with the right answer in it, as cells; solutions stand between marks
    ID.ipynb         what the learner opens: made from reference.py, never written by hand
    grader.py        pytest: a test, its points, its sentence; runs apart from the answer
    hidden.py        what the grader needs and a learner should find out alone (packed for the student edition)
    probe.py         what the grader may ask of an answer; runs beside the answer (not for explored exercises)
    mutants/*.py     wrong answers that a learner would write, each naming the test that must catch it

An exercise is *explored* if its answers work on workers, locks and tasks: then the grader calls their functions in
scenarios of its own, in every interleaving (`kwlab.grade.asked`).

Exercises are found in the course's tree and in the folders that the environment variable ``KWLAB_EXERCISES`` lists
(an instructor's own): never in the learner's folder, where a grader could be put in the place of the course's.
"""

import ast
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

__all__ = ["COURSE", "Exercise", "ExerciseError", "Limits", "Part", "Test", "all_exercises", "find", "load"]

COURSE = Path(__file__).resolve().parents[2]


class ExerciseError(Exception):
    """An exercise, or what was asked about one, is not as it must be; the message says what to do."""


@dataclass(frozen=True)
class Part:
    """One part of an exercise: one cell of the notebook, `number` counted from 1."""

    number: int
    title: str
    functions: tuple[str, ...]
    points: int
    hints: tuple[str, ...]


@dataclass(frozen=True)
class Limits:
    """What the process of an answer may use: MiB beyond what it starts with, processes and threads beside its own."""

    memory_mb: int = 256
    processes: int = 0


@dataclass(frozen=True)
class Test:
    """A test as the grader's text declares it: `sentence` is the first paragraph of its docstring."""

    name: str
    part: int
    points: int
    sentence: str


@dataclass(frozen=True)
class Exercise:
    """An exercise folder, read. `given` are the names of kwlab that an answer finds defined; `imports` maps each
    module that it may import to the names it may take from it, or to ``("*",)``; `helpers` are functions that the
    notebook of an explored exercise defines and its grader supplies."""

    folder: Path
    id: str
    title: str
    order: int
    minutes: int
    given: tuple[str, ...]
    parts: tuple[Part, ...]
    imports: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    explored: bool = False
    helpers: tuple[str, ...] = ()

    @property
    def notebook(self) -> Path:
        return self.folder / f"{self.id}.ipynb"

    @property
    def reference(self) -> Path:
        return self.folder / "reference.py"

    @property
    def grader(self) -> Path:
        return self.folder / "grader.py"

    @property
    def probe(self) -> Path:
        return self.folder / "probe.py"

    @property
    def mutants(self) -> list[Path]:
        return sorted((self.folder / "mutants").glob("*.py"))

    @cached_property
    def tests(self) -> tuple[Test, ...]:
        """The tests of the grader in their order, read from its text without running it."""
        tree = ast.parse(self.grader.read_text(encoding="utf-8"))
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
        return tuple(_declared(self, function) for function in functions)

    def part(self, number: int) -> Part:
        """The part of this number, or an `ExerciseError` that says which there are."""
        for part in self.parts:
            if part.number == number:
                return part
        raise ExerciseError(f"{self.id} has the parts 1 to {len(self.parts)}, not {number!r}")


def _declared(exercise: Exercise, function: ast.FunctionDef) -> Test:
    where = f"{exercise.id}/grader.py: {function.name}"
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "points" and decorator.args:
            options = {keyword.arg: ast.literal_eval(keyword.value) for keyword in decorator.keywords}
            if "part" not in options:
                raise ExerciseError(f"{where} names no part: @points(N, part=1)")
            sentence = " ".join((ast.get_docstring(function) or "").split("\n\n")[0].split())
            return Test(function.name, options["part"], ast.literal_eval(decorator.args[0]), sentence)
    raise ExerciseError(f"{where} has no points: put @points(N, part=1) above it")


_KEYS = {"id", "title", "order", "minutes", "given", "imports", "limits", "parts", "explored", "helpers"}
_PART_KEYS = {"title", "functions", "points", "hints"}


def load(folder: Path) -> Exercise:
    """The exercise in `folder`, or an `ExerciseError` that names the file and what is wrong in it."""
    file = folder / "exercise.toml"
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ExerciseError(f"{folder} is no exercise: {file.name}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ExerciseError(f"{file}: {error}") from error
    _no_other_keys(file, table, _KEYS)
    try:
        parts = []
        for number, entry in enumerate(table["parts"], start=1):
            _no_other_keys(file, entry, _PART_KEYS)
            lists = (tuple(entry["functions"]), entry["points"], tuple(hint.strip() for hint in entry["hints"]))
            parts.append(Part(number, entry["title"], *lists))
        return Exercise(
            folder=folder.resolve(),
            id=table["id"],
            title=table["title"],
            order=table["order"],
            minutes=table["minutes"],
            given=tuple(table["given"]),
            parts=tuple(parts),
            imports={module: tuple(names) for module, names in table.get("imports", {}).items()},
            limits=Limits(**table.get("limits", {})),
            explored=table.get("explored", False),
            helpers=tuple(table.get("helpers", ())),
        )
    except KeyError as error:
        raise ExerciseError(f"{file}: {error.args[0]!r} is missing") from error
    except TypeError as error:
        raise ExerciseError(f"{file}: {error}") from error


def _no_other_keys(file: Path, table: Mapping[str, Any], known: set[str]) -> None:
    if other := set(table) - known:
        raise ExerciseError(f"{file}: unknown: {', '.join(sorted(other))}; known: {', '.join(sorted(known))}")


def all_exercises() -> list[Exercise]:
    """Every exercise that can be found, in the order of the course."""
    roots = [Path(entry) for entry in os.environ.get("KWLAB_EXERCISES", "").split(os.pathsep) if entry]
    files = [file for root in (*roots, COURSE / "exercises") for file in sorted(root.glob("*/exercise.toml"))]
    return sorted((load(file.parent) for file in files), key=lambda exercise: (exercise.order, exercise.id))


def find(name: str) -> Exercise:
    """The exercise whose id is `name`, or an `ExerciseError` that lists those there are."""
    there = all_exercises()
    for exercise in there:
        if exercise.id == name:
            return exercise
    known = ", ".join(exercise.id for exercise in there) or "none (is the course's folder complete?)"
    raise ExerciseError(f"no exercise is called {name!r}; there are: {known}")
