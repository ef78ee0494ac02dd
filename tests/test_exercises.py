"""Every exercise of the course: the stub gets nothing, the reference everything, each mutant is caught by its test."""

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from kwlab.grade.answer import Answer, marker
from kwlab.grade.exercise import Exercise, all_exercises, find
from kwlab.grade.lint import faults_of_all, faults_of_files
from kwlab.grade.mark import Mark
from kwlab.grade.reference import Mutant, mutants, notebook, reference_answer, stub_answer
from kwlab.grade.run import grade
from kwlab.grade.warm import WarmReferee

EXERCISES = all_exercises()
MUTANTS = [
    pytest.param(exercise, mutant, marks=[pytest.mark.slow] if exercise.explored else [], id=name)
    for exercise in EXERCISES
    for mutant in mutants(exercise)
    for name in [f"{exercise.id}-{mutant.name}"]
]
TIMES = int(os.environ.get("KWLAB_TIMES", "0"))  # 200 in make flake-hunt

each = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.id)


def test_the_course_has_its_first_exercise_and_every_id_once() -> None:
    assert "list_head" in {exercise.id for exercise in EXERCISES}
    assert faults_of_all(EXERCISES) == []


@each
def test_the_files_of_an_exercise_are_fit_to_be_handed_out(exercise: Exercise) -> None:
    assert list(faults_of_files(exercise)) == []


@pytest.fixture(scope="module")
def referee() -> Iterator[WarmReferee]:
    """Gives the marks that `grade` gives, and starts Python once for all of them."""
    with WarmReferee() as warm:
        yield warm


@pytest.mark.parametrize("name", ["list_head", "first_fix"])
def test_a_warm_referee_gives_the_mark_of_a_fresh_one(name: str, referee: WarmReferee) -> None:
    exercise = find(name)
    answer = mutants(exercise)[0].answer
    assert referee.grade(exercise, answer) == grade(exercise, answer, hard_stop=100)


@each
def test_the_stub_gets_nothing_and_is_told_what_to_write(exercise: Exercise, referee: WarmReferee) -> None:
    mark = referee.grade(exercise, stub_answer(exercise))
    assert (mark.points, mark.problems) == (0, ())
    # Where a wrong line is to be mended, the stub runs, and fails.
    wrong_lines = "# instead:" in exercise.reference.read_text()
    assert {score.outcome for score in mark.scores} == ({"failed"} if wrong_lines else {"todo"})
    assert mark.maximum == sum(part.points for part in exercise.parts)


def many_times(referee: WarmReferee, exercise: Exercise, answer: Answer) -> list[Mark]:
    """The marks of the same answer, with the interpreter switching threads more often or less.

    An explored answer's interleavings are chosen by the search, in one thread: a few times show as much as twenty.
    """
    times = TIMES or (3 if exercise.explored else 20)
    chance = random.Random(exercise.id)
    intervals = [10 ** chance.uniform(-6, -1) for _ in range(times)]
    return [referee.grade(exercise, answer, switch_interval=interval) for interval in intervals]


@each
def test_the_reference_gets_full_marks_every_time(exercise: Exercise, referee: WarmReferee) -> None:
    marks = many_times(referee, exercise, reference_answer(exercise))
    assert marks[0].solved, marks[0].text()
    assert all(mark == marks[0] for mark in marks)


@pytest.mark.parametrize(("exercise", "mutant"), MUTANTS)
def test_every_mutant_is_caught_by_the_test_that_it_names(
    exercise: Exercise, mutant: Mutant, referee: WarmReferee
) -> None:
    mark = referee.grade(exercise, mutant.answer)
    assert mark.problems == ()
    assert mark.score(mutant.test).outcome == "failed", mark.text()
    assert not mark.solved


@each
def test_a_wrong_answer_has_the_same_mark_every_time(exercise: Exercise, referee: WarmReferee) -> None:
    marks = many_times(referee, exercise, mutants(exercise)[-1].answer)
    assert all(mark == marks[0] for mark in marks)


@pytest.fixture
def learner(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A learner's folder, for kernels too."""
    monkeypatch.setenv("KWLAB_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(project), *filter(None, [os.environ.get("PYTHONPATH")])]))
    return tmp_path


def run_in_kernel(exercise: Exercise, parts: dict[int, str], folder: Path) -> tuple[list[str], dict]:
    """Run the learner's notebook, with these cells for the answers, in a kernel of its own.

    Returns what every check() showed, and the mark that a last one, put behind the others, gave as JSON.
    """
    made = notebook(exercise)
    for cell in made.cells:
        for part, source in parts.items():
            if cell.source.startswith(marker(exercise.id, part)):
                cell.source = source
    last = f'import json; print(json.dumps(check("{exercise.id}").to_dict()))'
    made.cells.append(nbformat.v4.new_code_cell(last))
    NotebookClient(made, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    nbformat.write(made, folder / exercise.notebook.name)
    shown = [
        output["data"]["text/plain"]
        for cell in made.cells
        if cell.cell_type == "code" and cell.source == f'check("{exercise.id}")'
        for output in cell.outputs
    ]
    return shown, json.loads(made.cells[-1].outputs[0]["text"])


@pytest.mark.slow
@each
def test_the_notebook_as_handed_out_runs_in_a_kernel_and_gets_nothing(exercise: Exercise, learner: Path) -> None:
    shown, mark = run_in_kernel(exercise, {}, learner)
    assert shown
    maximum = sum(part.points for part in exercise.parts)
    # When the first check() comes, the cells further down have not been run: that is no fault.
    assert not any("First:" in text for text in shown)
    assert all(text.startswith(f"{exercise.id}: 0 of {maximum} points") for text in shown)
    assert mark["problems"] == []
    assert mark["points"] == 0


@pytest.mark.slow
@each
def test_the_solved_notebook_gets_full_marks_in_a_kernel(exercise: Exercise, learner: Path) -> None:
    shown, mark = run_in_kernel(exercise, reference_answer(exercise).parts, learner)
    assert mark["solved"]
    assert f"{mark['maximum']} of {mark['maximum']} points" in shown[-1]
    progress = json.loads((learner / ".kwlab-progress.json").read_text())["exercises"][exercise.id]
    assert progress["solved"]
    assert progress["attempts"] == len(shown) + 1
