"""The learner's progress survives restarts, other sessions, and damage to its file."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kwlab.grade import progress
from kwlab.grade.exercise import COURSE


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KWLAB_HOME", str(tmp_path))
    return tmp_path


def test_nothing_begun_is_no_progress(folder: Path) -> None:
    assert progress.read() == {}
    assert list(folder.iterdir()) == []


def test_a_change_is_there_for_whoever_reads_next(folder: Path) -> None:
    with progress.change("a") as one:
        one.attempts, one.hints["2"] = 3, 1
    with progress.change("b"):
        pass
    assert progress.read() == {"a": progress.Progress(attempts=3, hints={"2": 1}), "b": progress.Progress()}


def test_a_change_that_fails_changes_nothing(folder: Path) -> None:
    with progress.change("a") as one:
        one.attempts = 1

    change = progress.change("a")
    change.__enter__().attempts = 99
    assert not change.__exit__(KeyError, KeyError(), None)
    assert progress.read()["a"].attempts == 1
    assert not list(folder.glob("*.tmp"))


def test_sessions_that_check_at_the_same_time_lose_no_attempt(folder: Path) -> None:
    count = (
        "from kwlab.grade import progress\n"
        "for _ in range(50):\n    with progress.change('a') as one:\n        one.attempts += 1\n"
    )
    sessions = [subprocess.Popen([sys.executable, "-c", count], cwd=COURSE) for _ in range(4)]
    assert [session.wait(timeout=60) for session in sessions] == [0] * 4
    assert progress.read()["a"].attempts == 200


@pytest.mark.parametrize("text", ["", "{", "[]", '{"exercises": {"a": {"no such": 1}}}', '{"version": 1}'])
def test_a_damaged_file_is_kept_and_a_new_one_begun(text: str, folder: Path) -> None:
    (folder / progress.FILE).write_text(text)
    assert progress.read() == {}
    with progress.change("a") as one:
        one.attempts = 1
    assert (folder / f"{progress.FILE}.damaged").read_text() == text
    assert json.loads((folder / progress.FILE).read_text())["exercises"]["a"]["attempts"] == 1


def test_the_learners_folder_is_found_from_where_the_learner_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KWLAB_HOME", raising=False)
    inner = tmp_path / "exercises" / "list_head"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert progress.home() == inner
    (tmp_path / progress.FILE).touch()
    assert progress.home() == tmp_path
    monkeypatch.chdir(COURSE / "tests")
    assert progress.home() == COURSE / "work"
