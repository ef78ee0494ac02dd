"""kwlab doctor tries and restores; kwlab progress counts what the learner did."""

import json
import os
import threading
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from typer.testing import CliRunner

from kwlab.cli import build
from kwlab.course import doctor as doctor_module
from kwlab.course.doctor import CHECKS, Check, Missing, examine
from kwlab.course.progress import asked_in, predictions, progress
from kwlab.widgets.answers import keep_answer


def command(*arguments: str):
    return CliRunner().invoke(build(arguments[0]), list(arguments), env={"COLUMNS": "200"})


def test_the_doctor_leaves_the_machine_as_it_was() -> None:
    def state() -> tuple[object, ...]:
        mounts = Path("/proc/mounts")
        cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
        return threading.active_count(), cpus, mounts.read_text() if mounts.exists() else ""

    before = state()
    findings = examine()
    assert [one.check for one in findings] == list(CHECKS)
    assert all(one.detail for one in findings)
    assert state() == before


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
    assert predictions(tmp_path, tmp_path).rows == [
        ["00_demo", "a-question", "wrong, and learned from", "2"],
        ["00_demo", "b-question", "right", "1"],
        ["00_demo", "c-question", "not yet answered", "0"],
    ]


def test_every_notebook_asks_for_one_prediction_and_begins_its_name_with_its_number(project: Path) -> None:
    for notebook in sorted((project / "notebooks").glob("*.ipynb")):
        (question,) = asked_in(notebook)
        assert question.startswith(notebook.name[:3].replace("_", "-"))


def test_progress_shows_predictions_and_exercises(learner: Path) -> None:
    keep_answer("00-queue-a-b-a", ["A", "B"], ["A", "B"], learner / "notebooks")
    done = command("progress")
    assert done.exit_code == 0
    (line,) = [line for line in done.output.splitlines() if "00-queue-a-b-a" in line]
    assert line.split()[2:] == ["right", "1"]
    assert "list_head" in done.output
    assert "<table>" in progress()._repr_html_()


def test_damaged_answers_are_said_and_kept(learner: Path) -> None:
    file = learner / "notebooks/predictions.json"
    file.write_text("{")
    done = command("progress")
    assert done.exit_code == 2
    assert "predictions.json is damaged" in done.output
    assert file.read_text() == "{"
