"""Is an exercise fit to be handed out? For authors, and for CI.

The cheap questions are read off the files; the others grade the stub, the reference and every mutant.
"""

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

from kwlab.grade.answer import Answer
from kwlab.grade.exercise import Exercise, ExerciseError
from kwlab.grade.mark import Mark
from kwlab.grade.reference import marks, mutants, notebook, reference_answer, serialised, stub_answer
from kwlab.grade.run import HARD_STOP, GradingError
from kwlab.grade.warm import WarmReferee

__all__ = ["MUTANTS", "TIERS", "faults", "faults_of_all", "faults_of_files", "faults_of_marks"]

MUTANTS, TIERS = 5, 3


def faults_of_all(exercises: list[Exercise]) -> list[str]:
    """What is wrong between exercises."""
    return [f"{name}: {n} exercises have this id" for name, n in Counter(e.id for e in exercises).items() if n > 1]


def faults(exercise: Exercise) -> list[str]:
    """Everything that is wrong with one exercise, a sentence each; empty if it can be handed out."""
    found: list[str] = []
    try:
        found += faults_of_files(exercise)
        if not found:
            found += faults_of_marks(exercise)
    except (ExerciseError, GradingError, OSError, SyntaxError) as error:
        found.append(f"{exercise.id}: {error}")
    return found


def faults_of_files(exercise: Exercise) -> Iterator[str]:
    """What can be seen without running anything."""
    here = exercise.id
    if exercise.folder.name != here:
        yield f"{here}: its folder is called {exercise.folder.name}"
    if not 2 <= len(exercise.parts) <= 4:
        yield f"{here}: {len(exercise.parts)} parts; two to four are what a learner can oversee"
    for part in exercise.parts:
        if len(part.hints) != TIERS or not all(part.hints) or len(set(part.hints)) != len(part.hints):
            yield f"{here}: part {part.number} needs {TIERS} different hints"
        points = sum(test.points for test in exercise.tests if test.part == part.number)
        if points != part.points or not points:
            yield f"{here}: part {part.number} promises {part.points} points, its tests give {points}"
    yield from _faults_of_tests(exercise)
    yield from _faults_of_notebook(exercise)
    if exercise.notebook.exists() and exercise.notebook.read_text(encoding="utf-8") == serialised(exercise):
        pass
    else:
        yield f"{here}: {exercise.notebook.name} is not what its reference makes: kwlab exercise generate {here}"
    wrong = mutants(exercise)
    if len(wrong) < MUTANTS:
        yield f"{here}: {len(wrong)} mutants; at least {MUTANTS} show that its tests can tell right from wrong"
    tests = {test.name for test in exercise.tests}
    for mutant in wrong:
        if mutant.test not in tests:
            yield f"{here}: mutant {mutant.name} names {mutant.test}, which is no test"


def _faults_of_tests(exercise: Exercise) -> Iterator[str]:
    numbers = {part.number for part in exercise.parts}
    for name, n in Counter(test.name for test in exercise.tests).items():
        if n > 1:
            yield f"{exercise.id}: {n} tests are called {name}"
    for test in exercise.tests:
        if test.part not in numbers:
            yield f"{exercise.id}: {test.name} belongs to part {test.part}, which is not there"
        if not test.sentence.endswith("."):
            yield f"{exercise.id}: {test.name} needs a docstring: one sentence that says what it asks for"
        if test.points < 1:
            yield f"{exercise.id}: {test.name} gives {test.points} points"


def _faults_of_notebook(exercise: Exercise) -> Iterator[str]:
    made = notebook(exercise)
    prose = "\n".join(cell.source for cell in made.cells if cell.cell_type == "markdown")
    for test in exercise.tests:
        if f"`{test.name}`" not in prose:
            yield f"{exercise.id}: the instructions do not name {test.name}"
    stub = stub_answer(exercise)
    for part in exercise.parts:
        if part.number not in stub.parts:
            yield f"{exercise.id}: no cell for part {part.number}"
        elif "# TODO: " not in stub.parts[part.number]:
            yield f"{exercise.id}: nothing is left to do in part {part.number}: mark its solution"
        elif marks(stub.parts[part.number]):
            yield f"{exercise.id}: part {part.number} has a solution mark without its other half"
    imported = {
        alias.asname or alias.name
        for cell in made.cells
        if cell.cell_type == "code"
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    defined = {
        node.name
        for cell in made.cells
        if cell.cell_type == "code"
        for node in ast.parse(cell.source).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    for name in sorted({*exercise.helpers} - defined):
        yield f"{exercise.id}: the notebook does not define {name}, which an answer may use"
    needed = {*exercise.given, *(name for names in exercise.imports.values() for name in names if name != "*")}
    for name in sorted(needed - imported):
        yield f"{exercise.id}: the notebook does not import {name}, which an answer may use"


def faults_of_marks(exercise: Exercise) -> Iterator[str]:
    """What grading shows: the stub gets nothing, the reference everything, each mutant fails where it must."""
    with WarmReferee() as referee:
        yield from _faults_of_marks(exercise, partial(referee.grade, exercise, hard_stop=HARD_STOP))


def _faults_of_marks(exercise: Exercise, grade: Callable[[Answer], Mark]) -> Iterator[str]:
    mark = grade(stub_answer(exercise))
    if mark.points:
        given = ", ".join(score.name for score in mark.scores if score.points)
        yield f"{exercise.id}: the stub gets {mark.points} points ({given})"
    mark = grade(reference_answer(exercise))
    if not mark.solved:
        yield f"{exercise.id}: the reference gets {mark.points} of {mark.maximum} points:\n{mark.text()}"
    for mutant in mutants(exercise):
        mark = grade(mutant.answer)
        if mark.problems:
            yield f"{exercise.id}: mutant {mutant.name} is no answer: {mark.problems[0].sentence}"
        elif mark.score(mutant.test).outcome != "failed":
            yield f"{exercise.id}: mutant {mutant.name} ({mutant.wrong}) is not caught by {mutant.test}"
