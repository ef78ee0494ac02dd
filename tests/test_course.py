"""kwlab doctor tries and restores; kwlab progress counts what the learner did."""

import json
import os
import threading
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import nbformat
import pytest
from clicking import displayed, find, press, shown
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from typer.testing import CliRunner

from kwlab import progress
from kwlab.cli import build
from kwlab.course import doctor as doctor_module
from kwlab.course.doctor import CHECKS, Check, Missing, examine
from kwlab.course.progress import Prediction, asked_in, course_outline, course_progress, predictions
from kwlab.grade.progress import change
from kwlab.widgets.answers import keep_answer, kept_answers


def command(*arguments: str):
    return CliRunner().invoke(build(arguments[0]), list(arguments), env={"COLUMNS": "200"})


def test_the_doctor_leaves_the_machine_as_it_was() -> None:
    def state() -> tuple[object, ...]:
        mounts = Path("/proc/mounts")
        cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
        return cpus, mounts.read_text() if mounts.exists() else ""

    before, threads = state(), set(threading.enumerate())
    findings = examine()
    assert [one.check for one in findings] == list(CHECKS)
    assert all(one.detail for one in findings)
    assert state() == before
    assert set(threading.enumerate()) <= threads  # an earlier test's thread may have ended meanwhile


def test_status_is_another_name_of_progress() -> None:
    answers = [command(name) for name in ("status", "progress")]
    assert answers[0].exit_code == 0
    assert answers[0].output == answers[1].output
    assert "exercises solved" in answers[0].output


def test_what_is_missing_comes_with_its_reason_and_its_price(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise Missing("no such thing: apt-get install thing")

    def refused() -> str:
        raise PermissionError(1, "needs root")

    checks = (
        Check("there", lambda: "fine", "nothing"),
        Check("thing", broken, "no pictures"),
        Check("right", refused, "no sound"),
    )
    assert [(one.works, one.detail) for one in examine(checks)] == [
        (True, "fine"),
        (False, "no such thing: apt-get install thing"),
        (False, "needs root"),
    ]
    monkeypatch.setattr(doctor_module, "CHECKS", checks)
    done = command("doctor")
    assert done.exit_code == 0
    (line,) = [line for line in done.output.splitlines() if "thing:" in line]
    assert line.split()[0] == "--"
    assert "no pictures" in line
    assert "nothing" not in done.output  # the price of what works is not shown


def test_a_course_that_cannot_run_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor_module, "version", version)
    done = command("doctor", "--json")
    assert done.exit_code == 1
    first = json.loads(done.output)[0]
    assert (first["name"], first["works"]) == ("Jupyter", False)
    assert first["detail"] == "jupyterlab is not installed: make setup"


def test_a_program_that_is_not_there_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = {one.check.name: one for one in examine()}
    assert not found["Chromium"].works
    assert found["Chromium"].detail.endswith("apt-get install chromium")
    assert "gcc" in found["oracle"].detail
    tool = tmp_path / "chromium-browser"
    tool.write_text("")
    tool.chmod(0o755)
    assert {one.check.name: one.works for one in examine()}["Chromium"]


@pytest.fixture
def learner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KWLAB_HOME", str(tmp_path))
    (tmp_path / "notebooks").mkdir()
    return tmp_path


def test_the_first_answer_to_a_prediction_counts(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    cells = [
        new_markdown_cell('Predict("in-prose", ...)'),
        new_code_cell('Predict(\n    "a-question",\n    "What?")\nPredict("b-question", "And?")'),
        new_code_cell("Predict('c-question', 'Then?')"),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks/00_demo.ipynb")
    keep_answer("a-question", "yes", "no", tmp_path)
    keep_answer("a-question", "no", "no", tmp_path)
    keep_answer("b-question", 2, 2, tmp_path)
    assert predictions(kept_answers(tmp_path), tmp_path) == [
        Prediction("00_demo", "a-question", False, 2),
        Prediction("00_demo", "b-question", True, 1),
        Prediction("00_demo", "c-question", None, 0),
    ]


def test_every_notebook_asks_for_one_prediction_and_begins_its_name_with_its_number(project: Path) -> None:
    for notebook in sorted((project / "notebooks").glob("*.ipynb")):
        (question,) = asked_in(notebook)
        assert question.startswith(notebook.name[:3].replace("_", "-"))


@pytest.fixture
def busy_learner(learner: Path) -> Path:
    """One who predicted rightly once, and has begun one exercise and solved another."""
    keep_answer("00-queue-a-b-a", ["A", "B"], ["A", "B"], learner / "notebooks")
    with change("list_head") as begun:
        begun.points, begun.attempts, begun.hints = 27, 3, {"1": 1}
    with change("first_fix") as solved:
        solved.points, solved.attempts, solved.solved = 8, 1, True
    return learner


def test_progress_names_what_is_done_and_what_is_not(busy_learner: Path, project: Path) -> None:
    (asked,) = asked_in(next(project.glob("notebooks/03_*.ipynb")))
    keep_answer(asked, "no", "yes", busy_learner / "notebooks")
    done = command("progress")
    assert done.exit_code == 0
    lines = [line.split("  ") for line in done.output.splitlines()]
    rows = {line[0]: [cell.strip() for cell in line[1:] if cell.strip()] for line in lines}
    books = len(list(project.glob("notebooks/*.ipynb")))
    exercises = len(list(project.glob("exercises/*/exercise.toml")))
    assert next(iter(rows)) == f"So far: 2 of {books} predictions made, 1 of {exercises} exercises solved"
    assert rows["00 the demo on your own machine"] == ["right"]
    assert rows["01 structs and lists"] == ["not yet predicted"]
    assert rows["03 the loop part one"] == ["wrong, and learned from"]
    assert rows["first_fix"] == ["solved, 8 of 8 points", "1 attempt"]
    assert rows["list_head"] == ["27 of 30 points", "3 attempts, 1 hint"]
    assert rows["worker_loop"] == ["new, 0 of 24 points"]
    assert repr(progress()) == done.output.rstrip("\n")


def test_the_picture_of_progress_says_the_same(busy_learner: Path) -> None:
    now = course_progress()
    picture = now.picture()
    assert picture.label.startswith(f"So far: {now.heading}. predictions: 00 the demo on your own machine: right; ")
    assert "list_head: 27 of 30 points" in picture.label
    assert picture.svg.count('class="full"') == 2  # first_fix and list_head have points
    assert picture.svg.count("✓") == 1
    assert course_outline().picture().svg.count('class="full"') == 0


def test_what_is_stored_of_progress_is_the_same_for_everybody(
    busy_learner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = displayed(progress(), monkeypatch)
    monkeypatch.setenv("KWLAB_HOME", str(busy_learner / "nobody"))
    idle = displayed(progress(), monkeypatch)
    assert busy[0] == idle[0]
    assert busy[0]["text/plain"].startswith("To do: ")
    assert "<img alt=" in busy[0]["text/html"]
    assert busy[1]["text/plain"] == idle[1]["text/plain"]


def test_the_widget_shows_what_was_done_since(learner: Path) -> None:
    widget = progress()
    assert "So far: 0 of " in shown(widget)
    keep_answer("00-queue-a-b-a", ["A"], ["A", "B"], learner / "notebooks")
    press(find(widget, "look again"))
    assert "So far: 1 of " in shown(widget)
    assert "00 the demo on your own machine: wrong, and learned from" in shown(widget)


@pytest.mark.parametrize(
    ("text", "fault"), [("{", "is damaged"), ("[]", "holds no predictions"), ('{"a": [{"wrong": 1}]}', "holds no")]
)
def test_damaged_answers_are_said_and_kept(learner: Path, text: str, fault: str) -> None:
    file = learner / "notebooks/predictions.json"
    file.write_text(text)
    done = command("progress")
    assert done.exit_code == 2
    assert f"predictions.json {fault}" in done.output
    assert f"predictions.json {fault}" in shown(progress())
    assert file.read_text() == text
