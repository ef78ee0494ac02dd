"""What a learner calls in a notebook, with the session's history given by hand."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import typer
from grading import list_head, warm_grade
from typer.testing import CliRunner

import kwlab
from kwlab.grade import check_exercise, command, hint, progress, reset, session, solution
from kwlab.grade.command import register
from kwlab.grade.exercise import ExerciseError, find
from kwlab.grade.mark import Mark
from kwlab.grade.reference import mutants, stub_answer
from kwlab.grade.run import grade

EXERCISE = find("list_head")
app = typer.Typer()
register(app)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A learner's folder, empty."""
    monkeypatch.setenv("KWLAB_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(session, "_forgotten", {})
    return tmp_path


def use(grade: Callable[..., Mark], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "grade", grade)
    monkeypatch.setattr(command, "grade_answer", grade)


@pytest.fixture(autouse=True)
def warm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The marks of this file come from one referee, unless a test is about the way to a fresh one."""
    use(warm_grade, monkeypatch)


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The history of a notebook's session; to be filled."""
    history: list[str] = [""]
    shell = SimpleNamespace(history_manager=SimpleNamespace(input_hist_raw=history))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    return history


def save(parts: dict[int, str], file: Path) -> Path:
    """A notebook with these answers, saved as JupyterLab would."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in parts.values()])
    file.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(made, file)
    return file


def own_notebook(folder: Path) -> Path:
    return folder / "exercises/list_head/list_head.ipynb"


def test_check_takes_the_latest_run_of_each_cell(cells: list[str]) -> None:
    cells += [*stub_answer(EXERCISE).parts.values(), *list_head().parts.values(), "1 + 1", "# a comment"]
    assert check_exercise("list_head").solved


def test_the_running_cell_may_hold_answer_and_check(cells: list[str]) -> None:
    cells += [source + '\ncheck("list_head")' for source in list_head().parts.values()]
    assert check_exercise("list_head").solved


def test_kwlab_has_one_check_for_everything(cells: list[str]) -> None:
    cells += list_head().parts.values()
    assert kwlab.check("list_head").solved
    with pytest.raises(TypeError, match="42"):
        kwlab.check(42)


def test_a_part_not_run_yet_is_no_fault(cells: list[str]) -> None:
    cells += [list_head().parts[1]]
    mark = check_exercise("list_head")
    assert mark.solved_parts() == [1]
    assert mark.faults() == []
    assert 'no cell that begins with "# list_head, part 2" was run' in mark.text()


@pytest.mark.parametrize("name", ["right", "stub", "wrong", "unparsable"])
def test_notebook_and_command_line_give_the_same_mark(
    name: str, cells: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(grade, monkeypatch)
    answers = {
        "right": list_head(),
        "stub": stub_answer(EXERCISE),
        "wrong": mutants(EXERCISE)[3].answer,
        "unparsable": list_head(list_empty="def list_empty(head:\n    pass"),
    }
    cells += answers[name].parts.values()
    mark = check_exercise("list_head")
    save(answers[name].parts, own_notebook(folder))
    for target in ("list_head", str(own_notebook(folder))):
        result = CliRunner().invoke(app, ["grade", target, "--json"])
        assert [Mark.from_dict(one) for one in json.loads(result.stdout)] == [mark]
        assert result.exit_code == (0 if name == "right" else 1)
        assert result.stderr == ""
    assert progress.read()["list_head"].attempts == 3


def test_a_saved_notebook_that_differs_from_what_was_checked_is_said_to(cells: list[str], folder: Path) -> None:
    cells += list_head().parts.values()
    check_exercise("list_head")
    save(stub_answer(EXERCISE).parts, own_notebook(folder))
    result = CliRunner().invoke(app, ["grade", "list_head"])
    assert "list_head: 0 of 30 points" in result.stdout
    assert "is not what check() last saw" in result.stderr


def test_somebody_elses_file_leaves_my_progress_alone(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    theirs = save(list_head().parts, tmp_path_factory.mktemp("theirs") / "answer.ipynb")
    assert CliRunner().invoke(app, ["grade", str(theirs)]).exit_code == 0
    assert progress.read() == {}


def test_a_python_file_with_cells_is_graded_too(folder: Path) -> None:
    file = folder / "answer.py"
    file.write_text("".join(f"# %%\n{source}\n" for source in list_head().parts.values()))
    assert CliRunner().invoke(app, ["grade", str(file)]).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["grade", "nothing"], "no exercise is called 'nothing'; there are: first_fix,"),
        (["grade", "missing.ipynb"], "missing.ipynb: No such file"),
        (["grade", "list_head"], "is not there: make lab puts it there"),
        (["grade"], "no exercise's notebook is in"),
        (["grade", "broken.ipynb"], "broken.ipynb: not a notebook"),
        (["grade", "empty.py"], 'empty.py: no cell begins with "# NAME, part N"'),
        (["hint", "list_head", "--part", "9"], "list_head has the parts 1 to 4, not 9"),
        (["exercise", "lint", "nothing"], "no exercise is called 'nothing'"),
    ],
)
def test_what_cannot_be_graded_is_said_and_ends_with_2(arguments: list[str], said: str, folder: Path) -> None:
    (folder / "broken.ipynb").write_text("{]")
    (folder / "empty.py").write_text("# %%\nx = 1\n")
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_check_outside_a_notebook_says_what_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    with pytest.raises(ExerciseError, match="kwlab grade FILE"):
        check_exercise("list_head")


def test_check_before_any_cell_was_run_says_so(cells: list[str]) -> None:
    with pytest.raises(ExerciseError, match="run the cells of the exercise"):
        check_exercise("list_head")


def test_hints_come_one_by_one_for_the_first_open_part(cells: list[str]) -> None:
    hints = EXERCISE.part(1).hints
    assert [repr(hint("list_head")) for _ in range(4)] == [
        f"Hint {tier} of 3 for part 1: {hints[tier - 1]}" for tier in (1, 2, 3, 3)
    ]
    assert "part 4" in repr(hint("list_head", 4))
    cells += [list_head().parts[1]]
    check_exercise("list_head")
    assert repr(hint("list_head")) == f"Hint 1 of 3 for part 2: {EXERCISE.part(2).hints[0]}"
    cells += list_head().parts.values()
    check_exercise("list_head")
    assert "All parts are solved" in repr(hint("list_head"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def list_empty(head)\n    return True", "part 2 does not parse: line 11: expected ':'"),
        ("%time\ndef list_empty(head):\n    return True", "has a command for the notebook in line 11, `%time`"),
        ("def list_emtpy(head):\n    return True", "no function `list_empty` (there is `list_emtpy`: is that it?)"),
        ("if True:\n    def list_empty(head):\n        return True", "defines `list_empty` only inside"),
        ("list_empty = undefined", "NameError: name 'undefined' is not defined (part 2, line 11"),
    ],
)
def test_what_keeps_an_answer_from_being_graded_comes_before_any_hint(text: str, said: str, cells: list[str]) -> None:
    cells += list_head(list_empty=text).parts.values()
    mark = check_exercise("list_head")
    assert said in mark.faults()[0]
    assert mark.text().splitlines()[1].startswith("  First: part 2")
    assert repr(hint("list_head")).startswith(f"Before any hint: {mark.faults()[0]}")


@pytest.mark.parametrize(
    ("function", "text", "test"),
    [
        ("list_empty", "def list_empty(head):\n    head.next is head", "test_empty_tells_linked_from_unlinked"),
        ("list_empty", "def list_empty(head):\n    return", "test_empty_tells_linked_from_unlinked"),
        (
            "list_for_each_entry_safe",
            "def list_for_each_entry_safe(head, kind, member):\n    def inner():\n        return 1",
            "test_the_structs_come_in_order",
        ),
    ],
)
def test_a_forgotten_return_is_said(function: str, text: str, test: str, cells: list[str]) -> None:
    cells += list_head(**{function: text}).parts.values()
    score = check_exercise("list_head").score(test)
    assert f"`{function}` never returns a value: a `return` is missing" in score.message
    assert score.came == "None"


def test_a_wrong_answer_sees_call_result_and_expectation(cells: list[str]) -> None:
    cells += list_head(list_add_tail="def list_add_tail(new, head):\n    list_add(new, head)").parts.values()
    mark = check_exercise("list_head")
    for shown in (mark.text(), mark._repr_html_()):
        for piece in ("list_add_tail(C, head)", "head: C A B", "head: A B C"):
            assert piece in shown


def test_the_solution_opens_with_full_marks(cells: list[str]) -> None:
    assert "before = head.prev" not in repr(solution("list_head"))
    assert "full marks" in repr(solution("list_head"))
    cells += list_head().parts.values()
    check_exercise("list_head")
    assert "following = entry.next" in repr(solution("list_head"))
    assert "# solution:" not in repr(solution("list_head"))
    cells += stub_answer(EXERCISE).parts.values()
    check_exercise("list_head")
    assert "following = entry.next" in repr(solution("list_head"))  # once solved is solved


def test_reset_keeps_the_learners_notebook_and_forgets_the_rest(cells: list[str], folder: Path) -> None:
    mine = save(list_head().parts, own_notebook(folder))
    text = mine.read_text()
    cells += list_head().parts.values()
    check_exercise("list_head")
    for number in (1, 2):
        assert f"list_head.before-reset-{number}.ipynb" in repr(reset("list_head"))
    assert mine.read_bytes() == EXERCISE.notebook.read_bytes()
    assert mine.with_name("list_head.before-reset-1.ipynb").read_text() == text
    now = progress.read()["list_head"]
    assert (now.attempts, now.points, now.solved) == (1, 0, False)
    with pytest.raises(ExerciseError, match="no cell that was run"):
        check_exercise("list_head")
    cells += list_head().parts.values()
    assert check_exercise("list_head").solved


def test_attempts_points_and_hints_are_counted(cells: list[str]) -> None:
    cells += list_head(list_empty="def list_empty(head):\n    return True").parts.values()
    check_exercise("list_head")
    hint("list_head")
    now = progress.read()["list_head"]
    assert (now.attempts, now.points, now.maximum, now.solved, sum(now.hints.values())) == (1, 27, 30, False, 1)


@pytest.mark.parametrize("command", ["hint", "reset", "solution"])
def test_the_commands_say_what_the_functions_say(command: str) -> None:
    result = CliRunner().invoke(app, [command, "list_head"])
    assert result.exit_code == 0
    assert result.stdout.strip()
