"""Every exercise of the course: the stub gets nothing, the reference everything, each mutant is caught by its test."""

import json
import os
import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import nbformat
import pytest
from grading import warm_grade
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
HASH_SEEDS = range(1, 9 if TIMES else 3)

each = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.id)


def test_the_course_has_its_first_exercise_and_every_id_once() -> None:
    assert "list_head" in {exercise.id for exercise in EXERCISES}
    assert faults_of_all(EXERCISES) == []


@each
def test_the_files_of_an_exercise_are_fit_to_be_handed_out(exercise: Exercise) -> None:
    assert list(faults_of_files(exercise)) == []


@pytest.mark.parametrize("name", ["list_head", "first_fix"])
def test_a_warm_referee_gives_the_mark_of_a_fresh_one(name: str) -> None:
    exercise = find(name)
    answer = mutants(exercise)[0].answer
    assert warm_grade(exercise, answer) == grade(exercise, answer, hard_stop=100)


@pytest.fixture(scope="module")
def referees() -> Iterator[list[WarmReferee]]:
    """Referees, each with its own way to order sets and to spread strings over dicts."""
    with ExitStack() as stack:
        yield [stack.enter_context(WarmReferee(seed)) for seed in HASH_SEEDS]


def marks_of(
    exercise: Exercise, answer: Answer, referees: list[WarmReferee], times: int, tests: list[str] | None = None
) -> list[Mark]:
    """The marks of the same answer, so many `times` (or `TIMES`).

    Threads are switched more often or less, sets and tests have another order. Remarks come as the tests do; here they
    are sorted.
    """
    chance = random.Random(exercise.id)
    found = []
    for number, referee in zip(range(TIMES or times), cycle(referees), strict=False):
        interval = 10 ** chance.uniform(-6, -1)
        mark = referee.grade(exercise, answer, switch_interval=interval, order=number, tests=tests)
        found.append(replace(mark, remarks=tuple(sorted(mark.remarks))))
    return found


@each
def test_the_stub_gets_nothing_every_time_and_is_told_what_to_write(
    exercise: Exercise, referees: list[WarmReferee]
) -> None:
    mark, *others = marks_of(exercise, stub_answer(exercise), referees, 5)
    assert all(other == mark for other in others)
    assert (mark.points, mark.problems) == (0, ())
    # Where a wrong line is to be mended, the stub runs, and fails.
    wrong_lines = "# instead:" in exercise.reference.read_text()
    assert {score.outcome for score in mark.scores} == ({"failed"} if wrong_lines else {"todo"})
    assert mark.maximum == sum(part.points for part in exercise.parts)


@pytest.mark.slow
@pytest.mark.timeout(600)
@each
def test_the_reference_gets_full_marks_every_time(exercise: Exercise, referees: list[WarmReferee]) -> None:
    mark, *others = marks_of(exercise, reference_answer(exercise), referees, 20)
    assert mark.solved, mark.text()
    assert all(other == mark for other in others)


@pytest.mark.parametrize(("exercise", "mutant"), MUTANTS)
def test_every_mutant_is_caught_by_the_test_that_it_names(exercise: Exercise, mutant: Mutant) -> None:
    mark = warm_grade(exercise, mutant.answer, tests=[mutant.test])
    assert mark.problems == ()
    assert mark.score(mutant.test).outcome == "failed", mark.text()
    assert {score.outcome for score in mark.scores if score.name != mutant.test} == {"not run"}


@each
def test_a_wrong_answer_has_the_same_mark_every_time(exercise: Exercise, referees: list[WarmReferee]) -> None:
    mutant = mutants(exercise)[-1]
    mark, *others = marks_of(exercise, mutant.answer, referees, 5, [mutant.test])
    assert mark.score(mutant.test).outcome == "failed"
    assert all(other == mark for other in others)


Run = tuple[dict[str, list[str]], dict[str, dict], dict]


def check_of(exercise: Exercise) -> str:
    """The cell that checks it."""
    return f'check("{exercise.id}")'


def run_in_kernel(answers: dict[str, dict[int, str]], folder: Path, project: Path) -> Run:
    """Run the learner's notebooks, one behind the other, with these cells for the answers, in a kernel. Where there are
    answers, only the last check() of each notebook is run.

    By exercise: what every check() showed, and the mark that the last one gave. And the progress that was written.
    """
    cells = []
    last = "import json; print(json.dumps(Out[max(Out)].to_dict()))"
    for exercise in EXERCISES:
        made = notebook(exercise).cells
        for cell in made:
            for part, source in answers.get(exercise.id, {}).items():
                if cell.source.startswith(marker(exercise.id, part)):
                    cell.source = source
        checks = [cell for cell in made if cell.source == check_of(exercise)]
        for cell in checks[:-1] if answers else ():
            made.remove(cell)
        cells += [*made, nbformat.v4.new_code_cell(last)]
    together = nbformat.v4.new_notebook(cells=cells)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KWLAB_HOME", str(folder))
        paths = [str(project), *filter(None, [os.environ.get("PYTHONPATH")])]
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        NotebookClient(
            together, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        ).execute()
    shown: dict[str, list[str]] = {exercise.id: [] for exercise in EXERCISES}
    marks = {}
    for cell in together.cells:
        for exercise in EXERCISES:
            if cell.cell_type == "code" and cell.source == check_of(exercise):
                shown[exercise.id] += [output["data"]["text/plain"] for output in cell.outputs]
        if cell.source == last:
            mark = json.loads(cell.outputs[0]["text"])
            marks[mark["exercise"]] = mark
    return shown, marks, json.loads((folder / ".kwlab-progress.json").read_text())["exercises"]


@pytest.fixture(scope="module")
def handed_out(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Run:
    """The notebooks as they are handed out, run."""
    return run_in_kernel({}, tmp_path_factory.mktemp("handed_out"), project)


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Run:
    """The notebooks with the reference in them, run."""
    answers = {exercise.id: reference_answer(exercise).parts for exercise in EXERCISES}
    return run_in_kernel(answers, tmp_path_factory.mktemp("solved"), project)


@pytest.mark.slow
@each
def test_the_notebook_as_handed_out_runs_in_a_kernel_and_gets_nothing(exercise: Exercise, handed_out: Run) -> None:
    shown, marks, _ = handed_out
    mark, texts = marks[exercise.id], shown[exercise.id]
    assert texts
    maximum = sum(part.points for part in exercise.parts)
    # When the first check() comes, the cells further down have not been run: that is no fault.
    assert not any("First:" in text for text in texts)
    assert all(text.startswith(f"{exercise.id}: 0 of {maximum} points") for text in texts)
    assert mark["problems"] == []
    assert mark["points"] == 0


@pytest.mark.slow
@each
def test_the_solved_notebook_gets_full_marks_in_a_kernel(exercise: Exercise, solved: Run) -> None:
    shown, marks, progress = solved
    mark = marks[exercise.id]
    assert mark["solved"], shown[exercise.id][-1]
    assert f"{mark['maximum']} of {mark['maximum']} points" in shown[exercise.id][-1]
    assert progress[exercise.id]["solved"]
    assert progress[exercise.id]["attempts"] == len(shown[exercise.id]) == 1
