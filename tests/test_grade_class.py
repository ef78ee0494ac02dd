"""A class, tried as an instructor would: release, five learners, grade, gradebook, feedback, report."""

import csv
import json
import shutil
from pathlib import Path

import nbformat
import pytest
import typer
from grading import list_head, warm_grade
from typer.testing import CliRunner

from kwlab.grade.classbooks import COLUMNS
from kwlab.grade.command import register
from kwlab.grade.exercise import Exercise, ExerciseError, all_exercises, find, load
from kwlab.grade.gradebook import grade_all, submissions
from kwlab.grade.hidden import HIDDEN, PACKED, hidden
from kwlab.grade.progress import FILE
from kwlab.grade.reference import mutants, notebook, reference_answer, stub_answer
from kwlab.grade.release import release
from kwlab.grade.run import grade
from tools.pretend_class import pretend_class

EXERCISE = find("list_head")
ANSWERS = {
    "ada": list_head(),
    "ben": list_head(list_empty="def list_empty(head):\n    return True"),
    "cyd": stub_answer(EXERCISE),
    "dan": list_head(list_add="def list_add(new, head):\n    while True:\n        pass"),
    "eve": list_head(list_add="def list_add(new, head):\n    raise SystemExit('30 of 30 points')"),
}
# Lines of a solution that a grader has too, in a scenario that has nothing to do with what is asked.
SHARED = {"worker_loop": {"set_current_state(TASK_INTERRUPTIBLE)"}, "queue_work": {"wake_up_process(worker.task)"}}
app = typer.Typer()
register(app)


def hand_in(folder: Path, parts: dict[int, str], name: str = "list_head.ipynb") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in parts.values()])
    nbformat.write(made, folder / name)
    return folder / name


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a class, and what a first run over it wrote beside it."""
    folder = tmp_path_factory.mktemp("class")
    handed_in = folder / "handed_in"
    for learner, answer in ANSWERS.items():
        hand_in(handed_in / learner / "exercises" / "list_head", answer.parts)
    (handed_in / "ada" / FILE).write_text(json.dumps({"exercises": {"list_head": {"attempts": 7}}}))
    (handed_in / "fay").mkdir()
    (handed_in / "gus").mkdir()
    (handed_in / "gus" / "list_head.ipynb").write_text("{]")
    (handed_in / "=cmd()").mkdir()
    result = CliRunner().invoke(app, ["grade", str(handed_in), *written(folder)])
    assert result.exit_code == 0, result.output
    (folder / "said.txt").write_text(result.stdout)
    return folder


def written(folder: Path) -> list[str]:
    books = {"--csv": "grades.csv", "--feedback": "feedback", "--report": "report.md"}
    return [piece for option, name in books.items() for piece in (option, str(folder / name))]


def rows(folder: Path) -> dict[str, dict[str, str]]:
    with open(folder / "grades.csv", newline="") as file:
        return {row["student_id"]: row for row in csv.DictReader(file)}


def test_every_learner_has_a_row_with_the_points_of_a_single_check(room: Path) -> None:
    table = rows(room)
    assert list(table) == ["'=cmd()", "ada", "ben", "cyd", "dan", "eve", "fay", "gus"]
    for learner, answer in ANSWERS.items():
        assert int(table[learner]["score"]) == grade(EXERCISE, answer, hard_stop=100).points
    assert {row["max_score"] for row in table.values()} == {"30"}
    assert [table[learner]["score"] for learner in ("fay", "gus")] == ["0", "0"]
    assert (table["ada"]["attempts"], table["ben"]["attempts"]) == ("7", "")
    assert ",".join(COLUMNS[:-1]) == (
        "assignment,duedate,timestamp,student_id,last_name,first_name,email,raw_score,late_submission_penalty,score,"
        "max_score"
    )


def test_who_could_not_be_graded_is_named(room: Path) -> None:
    said = (room / "said.txt").read_text()
    assert "list_head: 8 learners, 5 graded, 1 with full marks" in said
    assert "not graded: fay, list_head" in said
    assert "not graded: gus, list_head" in said


def test_every_learner_has_a_page_with_their_own_marks_only(room: Path) -> None:
    pages = {file.stem: file.read_text() for file in (room / "feedback").iterdir()}
    assert sorted(pages) == ["=cmd()", "ada", "ben", "cyd", "dan", "eve", "fay", "gus"]
    assert "30 of 30 points" in pages["ada"]
    assert "ran on and on" in pages["dan"]
    assert "nothing handed in" in pages["fay"]
    assert not any(other in pages[learner] for learner in ("ben", "cyd") for other in ("ada", "dan", "eve"))


def test_the_report_says_what_failed_most_often(room: Path) -> None:
    report = (room / "report.md").read_text()
    assert "8 learners, 5 graded, 1 with full marks" in report
    table = [line for line in report.splitlines() if line.startswith("| ") and not line.startswith("| failed")]
    # dan's hangs and eve's leaves; cyd has not written anything, which is no failure.
    assert next(line for line in table if "`list_add` links the new entry right behind" in line).startswith("| 2 | 1 |")
    assert next(line for line in table if "Splicing an empty list" in line).endswith(
        "| 0 | 1 | 5 | Splicing an empty list leaves both lists as they are. |  |"
    )
    order = [tuple(map(int, line.split("|")[1:3])) for line in table]
    assert order == sorted(order, reverse=True)
    assert "NotImplementedError" not in report
    assert "list_empty: return whether" not in report  # what the stub says is to be done


def test_a_second_run_grades_only_what_has_changed(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = submissions(room / "handed_in", [EXERCISE])
    asked: list[str] = []

    class Counting:
        def grade(self, exercise, answer, *, seed):
            asked.append(seed)
            return grade(exercise, answer)

        def close(self):
            pass

    monkeypatch.setattr("kwlab.grade.gradebook.WarmReferee", Counting)
    store = room / "handed_in" / ".kwlab-grades"
    with open(store / "marks.jsonl", "a") as file:
        file.write('{"learner": "ada", "mark": {"exer')  # as an interrupted run leaves it
    before = {one.submission.learner: one.mark for one in grade_all(everything, store)}
    assert asked == []
    hand_in(room / "handed_in" / "cyd" / "exercises" / "list_head", list_head().parts)
    after = {one.submission.learner: one.mark for one in grade_all(everything, store)}
    assert asked == ["cyd"]
    assert after["cyd"].solved
    assert {name for name in before if before[name] != after[name]} == {"cyd"}


def test_a_pretended_class_is_graded_whole(tmp_path: Path) -> None:
    wrong = mutants(EXERCISE)
    pretend_class(EXERCISE, len(wrong) + 4, tmp_path)
    graded = {one.submission.learner: one for one in grade_all(submissions(tmp_path, [EXERCISE]), tmp_path / "store")}
    points = [graded[learner].points for learner in sorted(graded)]
    assert len(points) == len(wrong) + 4
    assert points[:2] == points[-2:] == [30, 0]
    assert all(0 < some < 30 for some in points[2:-2])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: None, "holds no submissions"),
        (lambda folder: (folder / "only.txt").write_text("x"), "holds no submissions"),
    ],
)
def test_a_folder_without_submissions_is_said(make, said: str, tmp_path: Path) -> None:
    make(tmp_path)
    result = CliRunner().invoke(app, ["grade", str(tmp_path)])
    assert (result.exit_code, said in result.stderr) == (2, True)


def test_what_leads_out_of_the_folder_is_not_read(tmp_path: Path) -> None:
    secret = hand_in(tmp_path / "elsewhere", list_head().parts)
    (tmp_path / "class" / "mia").mkdir(parents=True)
    (tmp_path / "class" / "mia" / "list_head.ipynb").symlink_to(secret)
    (one,) = submissions(tmp_path / "class", [EXERCISE])
    assert one.file is None


def test_a_student_edition_has_no_solutions_and_can_be_checked(tmp_path: Path) -> None:
    ids = release(tmp_path / "edition")
    assert ids == [exercise.id for exercise in all_exercises()]
    names = {file.name for file in (tmp_path / "edition" / "exercises").rglob("*")}
    assert not {"reference.py", "mutants"} & names
    assert {"list_head.ipynb", "grader.py"} <= names
    assert (tmp_path / "edition" / "Makefile").exists()
    assert not (tmp_path / "edition" / "tests").exists()
    for file in (tmp_path / "edition" / "exercises").rglob("*"):
        assert file.is_dir() or "# solution:" not in file.read_text()
    with pytest.raises(ExerciseError, match="is there already"):
        release(tmp_path / "edition")


def solved_lines(exercise: Exercise) -> set[str]:
    """The lines of the reference that a learner has to write."""
    handed_out = {line.strip() for text in stub_answer(exercise).parts.values() for line in text.splitlines()}
    handed_out |= {line.strip() for cell in notebook(exercise).cells for line in cell.source.splitlines()}
    solution = {line.strip() for text in reference_answer(exercise).parts.values() for line in text.splitlines()}
    return {line for line in solution - handed_out if len(line) > 20}


def test_who_looks_around_in_an_edition_meets_no_answer(tmp_path: Path) -> None:
    release(tmp_path / "edition")
    for exercise in all_exercises():
        folder = tmp_path / "edition" / "exercises" / exercise.id
        assert not (folder / HIDDEN).exists()
        assert (folder / PACKED).exists() == (exercise.folder / HIDDEN).exists()
        there = {line.strip() for file in folder.iterdir() for line in file.read_text().splitlines()}
        assert solved_lines(exercise) & there == SHARED.get(exercise.id, set())
    catch = tmp_path / "edition" / "exercises" / "catch_the_mutant"
    names = [name for kind in ("QUEUEING", "WAITING") for name in getattr(hidden(str(find(catch.name).grader)), kind)]
    assert len(names) > 10
    assert not [name for name in names for file in catch.iterdir() if name in file.read_text()]


@pytest.mark.parametrize(("name", "mutant"), [("catch_the_mutant", None), ("sleep_wake", "wake_then_drop")])
def test_what_is_packed_gives_the_same_marks(name: str, mutant: str | None, tmp_path: Path) -> None:
    release(tmp_path / "edition")
    exercise = find(name)
    answers = {None: reference_answer(exercise)} | {one.name: one.answer for one in mutants(exercise)}
    packed = load(tmp_path / "edition" / "exercises" / name)
    mark = warm_grade(packed, answers[mutant], seed="ada")
    assert mark == warm_grade(exercise, answers[mutant], seed="ada")
    assert mark.solved == (mutant is None)


def test_graders_can_stay_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release(tmp_path / "edition", graders=False)
    for name in ("grader.py", PACKED):
        assert not list((tmp_path / "edition" / "exercises").rglob(name))
    # A private folder of the instructor's, with an exercise of its own.
    shutil.copytree(EXERCISE.folder, tmp_path / "private" / "list_head")
    monkeypatch.setenv("KWLAB_EXERCISES", str(tmp_path / "private"))
    assert find("list_head").folder == tmp_path / "private" / "list_head"
