"""What authors of exercises get: notebooks made from references, and a linter that finds what is not fit."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from grading import list_head, open_exercise, warm_grade
from typer.testing import CliRunner

from kwlab.grade.answer import Answer
from kwlab.grade.command import register
from kwlab.grade.exercise import Exercise, ExerciseError, find, load
from kwlab.grade.lint import faults, faults_of_all, faults_of_marks
from kwlab.grade.mark import Mark, Problem, Score
from kwlab.grade.reference import notebook, serialised, stripped
from kwlab.grade.run import GradingError, grade

WRONG = list_head(list_add="def list_add(new, head):\n    pass")
app = typer.Typer()
register(app)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The folder of a copy of list_head, to be spoiled."""
    return shutil.copytree(find("list_head").folder, tmp_path / "list_head")


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("exercise.toml", 'id = "list_head"', 'id = "other"', "its folder is called list_head"),
        ("exercise.toml", "points = 9", "points = 8", "part 1 promises 8 points, its tests give 9"),
        ("exercise.toml", "hints = [", 'hints = [ "one too many",', "part 1 needs 3 different hints"),
        ("exercise.toml", "minutes", "minuets", "unknown: minuets; known: explored, given,"),
        ("exercise.toml", "order = 20\n", "", "'order' is missing"),
        ("exercise.toml", "[[parts]]", "[parts", "exercise.toml"),
        ("exercise.toml", "given = [", 'given = ["KthreadWork", ', "the notebook does not import KthreadWork"),
        ("list_head.ipynb", "Exercise: the list", "The list", "list_head.ipynb is not what its reference makes"),
        ("reference.py", "{tests 3}", "", "the instructions do not name test_splice_moves_all_in_order"),
        ("reference.py", "# list_head, part 2", "# part 2", "no cell for part 2"),
        ("reference.py", "# solution: return whether", "# return whether", "part 2 has a solution mark without its"),
        ("grader.py", "@points(2, part=3)\n", "", "test_splice_moves_all_in_order has no points"),
        ("grader.py", "@points(2, part=3)", "@points(2, part=5)", "belongs to part 5, which is not there"),
        ("grader.py", '"""`list_add` links the new entry right behind the head."""', "", "needs a docstring"),
        ("grader.py", "def test_add_tail_links_at_the_tail", "def test_add_links_at_the_front", "2 tests are called"),
        ("mutants/del_one_side.py", "# caught by: ", "# for: ", 'must begin with """what is wrong"""'),
        ("mutants/del_one_side.py", "by: test_del_init", "by: test_dell", "names test_dell_closes_the_gap, which"),
    ],
)  # fmt: skip
def test_what_the_files_show_to_be_wrong_is_found(file: str, old: str, new: str, fault: str, copy: Path) -> None:
    edit(copy / file, old, new)
    try:
        found = faults(load(copy))
    except ExerciseError as error:
        found = [str(error)]
    assert any(fault in one for one in found), found


def made_anew(folder: Path) -> Exercise:
    """The exercise with the notebook that belongs to its reference."""
    exercise = load(folder)
    exercise.notebook.write_text(serialised(exercise))
    return exercise


def only(folder: Path, mutant: str) -> None:
    """Leave one mutant, so that not all of them are graded."""
    for file in (folder / "mutants").iterdir():
        if file.stem != mutant:
            file.unlink()


def test_an_exercise_whose_marks_are_right_has_no_faults(copy: Path) -> None:
    only(copy, "del_one_side")
    assert list(faults_of_marks(load(copy))) == []


def test_a_stub_that_gets_points_is_found(copy: Path) -> None:
    only(copy, "")
    given = "    return head.next is head\n"
    wanted = "    # solution: return whether `head` points at itself\n"
    edit(copy / "reference.py", wanted + given, given + wanted)
    (fault,) = faults_of_marks(made_anew(copy))
    assert fault == "list_head: the stub gets 3 points (test_empty_tells_linked_from_unlinked)"


def test_a_reference_without_full_marks_is_found(copy: Path) -> None:
    only(copy, "")
    edit(copy / "reference.py", "following = entry.next", "following = entry.prev")
    (fault,) = faults_of_marks(made_anew(copy))
    assert "the reference gets 25 of 30 points" in fault


def test_a_mutant_that_its_test_does_not_catch_is_found(copy: Path) -> None:
    only(copy, "del_one_side")
    edit(copy / "mutants/del_one_side.py", "test_del_init_closes_the_gap", "test_add_links_at_the_front")
    (fault,) = faults_of_marks(load(copy))
    assert "mutant del_one_side" in fault
    assert fault.endswith("is not caught by test_add_links_at_the_front")


def test_too_few_mutants_are_found(copy: Path) -> None:
    for file in sorted((copy / "mutants").iterdir())[4:]:
        file.unlink()
    assert faults(load(copy)) == ["list_head: 4 mutants; at least 5 show that its tests can tell right from wrong"]


def test_a_fault_of_the_grader_gives_no_points_and_is_not_the_learners(copy: Path) -> None:
    only(copy, "del_one_side")
    edit(copy / "grader.py", 'reply["touched"]:', 'reply["no such"]:')
    reference, mutant = faults_of_marks(load(copy))
    assert "the reference gets 6 of 30" in reference
    assert "could make nothing of what came (KeyError: 'no such')" in warm_grade(load(copy), WRONG).text()
    assert "mutant del_one_side" in mutant


def test_a_grader_that_cannot_run_is_no_mark(copy: Path) -> None:
    edit(copy / "grader.py", "AB: Rings", "import nothing_of_this_name\nAB: Rings")
    with pytest.raises(GradingError, match=r"(?s)not your doing.*nothing_of_this_name"):
        grade(load(copy), Answer("list_head", {1: "x = 1"}))


def test_a_grader_that_hangs_is_stopped_from_outside(copy: Path) -> None:
    edit(copy / "grader.py", "AB: Rings", "import time\ntime.sleep(1000)\nAB: Rings")
    with pytest.raises(GradingError, match="was stopped after 1 s"):
        grade(load(copy), Answer("list_head", {1: "x = 1"}), hard_stop=1)


def test_two_exercises_of_one_id_are_found(copy: Path) -> None:
    assert faults_of_all([find("list_head"), load(copy)]) == ["list_head: 2 exercises have this id"]


def test_the_commands_for_authors(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KWLAB_EXERCISES", str(copy.parent))
    (copy / "exercise.toml").write_text((copy / "exercise.toml").read_text().replace('"list_head"', '"mine"'))
    for file in copy.glob("*.py"):
        file.write_text(file.read_text().replace("# list_head, part", "# mine, part"))
    copy.rename(copy.with_name("mine"))
    result = CliRunner().invoke(app, ["exercise", "lint", "mine", "--files-only"])
    assert result.exit_code == 1
    assert "mine: mine.ipynb is not what its reference makes: kwlab exercise generate mine" in result.stderr
    assert CliRunner().invoke(app, ["exercise", "generate", "mine"]).exit_code == 0
    result = CliRunner().invoke(app, ["exercise", "lint", "mine", "--files-only"])
    assert (result.exit_code, result.stdout) == (0, "mine: fit to be handed out\n")


def test_a_solution_is_replaced_by_what_is_to_be_done() -> None:
    source = "def f(x):\n    y = 1\n    # solution: add `x`\n    y += x\n    # end solution\n    return y\n"
    assert stripped(source, 2) == (
        'def f(x):\n    y = 1\n    # TODO: add `x`\n    raise NotImplementedError("part 2, f: add `x`")\n    return y\n'
    )


def test_a_solution_may_name_what_stands_there_instead() -> None:
    source = "# solution: mend this line\n# instead: x = 1\nx = 2\n# end solution\n"
    assert stripped(source, 1) == "# TODO: mend this line\nx = 1\n"


def test_nothing_of_a_solution_is_in_the_notebook() -> None:
    text = "".join(cell.source for cell in notebook(find("list_head")).cells)
    assert "following" not in text
    assert "solution:" not in text


def score(points: int, *, caps: bool = False) -> Score:
    outcome = "passed" if points else "failed"
    return Score(f"test_{points}", "It <works>.", 1, points, max(points, 2), outcome, called="f(<1>)", caps=caps)


def mark(*scores: Score, problems: tuple[Problem, ...] = ()) -> Mark:
    return Mark("x", "X", "0", ("one",), scores, problems)


def test_a_failed_test_that_caps_leaves_half_of_the_part() -> None:
    assert mark(score(6), score(0)).points == 6
    assert mark(score(6), score(0, caps=True)).points == 4
    assert mark(score(1), score(0, caps=True)).points == 1
    assert "half at most" in mark(score(6), score(0, caps=True)).text()
    assert "half at most" not in mark(score(6), score(0)).text()


def test_a_mark_comes_through_json_unchanged_and_shows_text_as_text() -> None:
    one = mark(score(6), score(0), problems=(Problem(1, "part 1 <b>"),))
    assert Mark.from_dict(one.to_dict()) == one
    assert "<b>" not in one._repr_html_().replace("<p><b>", "")
    assert "It &lt;works&gt;." in mark(score(6), score(0))._repr_html_()
    assert "f(&lt;1&gt;)" in mark(score(6), score(0))._repr_html_()


def test_in_a_notebook_the_next_step_stands_before_what_was_searched() -> None:
    said = replace(score(0), sentence="`<f>` comes back, and `g` too.")
    shown = replace(mark(said), remarks=("Searched <all> of it", "Searched some"))._repr_html_()
    assert "<code>&lt;f&gt;</code> comes back, and <code>g</code> too." in shown
    before, folded = shown.split("<details>")
    assert "Stuck?" in before
    assert "<p>Searched &lt;all&gt; of it</p><p>Searched some</p></details>" in folded


def test_where_a_test_says_it_caps_the_mark_says_so(tmp_path: Path) -> None:
    exercise = open_exercise(tmp_path)
    edit(exercise.grader, "@points(10, part=1)", "@points(10, part=1, caps=True)")
    parts = {1: "# open, part 1\ndef hostile():\n    return 1\n"}
    assert warm_grade(load(tmp_path), Answer("open", parts)).score("test_hostile").caps
