"""`kwlab check`, `kwlab museum` and `kwlab conformance --model`."""

import json
from pathlib import Path

import pytest

from kwlab.cli import main

SCENARIOS = """
from kwlab import kthread_run, raw_spin_lock_init
from kwlab.explore import join

def counts():
    lock, count = raw_spin_lock_init("lock"), [0]

    def client(data):
        with lock:
            seen = count[0]
        with lock:
            count[0] = seen + 1

    first, second = kthread_run(client, None, "first"), kthread_run(client, None, "second")
    join(first, second)
    assert count == [2]

def _helper():
    raise AssertionError("not a scenario")

def needs(something):
    raise AssertionError("not a scenario")
"""
FINE = """
def nothing_wrong():
    join(kthread_run(lambda data: 0, None, "short"))
"""


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    output = capsys.readouterr()
    return int(ended.value.code or 0), output.out, output.err


def test_check_shows_a_bug(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.py"
    file.write_text(SCENARIOS)
    status, out, _ = run(capsys, "check", str(file))
    assert status == 1
    assert "assertion: main: AssertionError" in out
    assert "is preempted here" in out
    assert "scenario     counts" in out
    assert "with lock:" in out


def test_check_of_a_right_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.py"
    file.write_text(SCENARIOS + FINE)
    status, out, _ = run(capsys, "check", f"{file}:nothing_wrong")
    assert status == 0
    assert out.startswith("no bug in all interleavings")


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (None, "", "no file"),
        (
            SCENARIOS + FINE,
            "",
            "has 2 scenarios, say which: functions without arguments there are counts, nothing_wrong",
        ),
        (SCENARIOS, ":needs", "no scenario 'needs' in"),
        ("", "", "has 0 scenarios, say which: functions without arguments there are none"),
    ],
)
def test_what_is_no_scenario(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, name: str, message: str
) -> None:
    file = tmp_path / "mine.py"
    if text is not None:
        file.write_text(text)
    status, _, err = run(capsys, "check", f"{file}{name}")
    assert status == 2
    assert message in err


def test_a_bad_budget(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.py"
    file.write_text(SCENARIOS)
    status, _, err = run(capsys, "check", str(file), "--bound", "-1")
    assert status == 2
    assert "bound=-1" in err


def test_the_museum_has_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "museum")
    assert status == 0
    for name in ("B1", "B2b", "B12", "T1", "T10"):
        assert name in out


@pytest.mark.parametrize(("name", "kind"), [("B2b", "lost wake-up"), ("T1", "deadlock")])
def test_the_museum_shows_one(capsys: pytest.CaptureFixture[str], name: str, kind: str) -> None:
    status, out, _ = run(capsys, "museum", name)
    assert status == 0
    assert out.startswith(f"{name}: ")
    assert f"\n{kind}: " in out
    assert "The fix: " in out
    assert "With it: no bug in " in out


def test_what_changed_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "museum", "B2b")
    assert "  -                 worker.current_work = work" in out
    assert "  +             worker.current_work = work" in out


def test_exhibits_that_are_told_only_and_those_there_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "museum", "B12")[0] == 0
    status, _, err = run(capsys, "museum", "B99")
    assert status == 2
    assert "there are B1" in err


def test_conformance_under_the_model(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = project / "kwlab" / "scenario" / "recorded" / "n7_flush_self_open.yaml"
    status, out, _ = run(capsys, "conformance", "--model", "--json", str(file))
    assert status == 0
    (result,) = json.loads(out)
    assert result["scenario"] == "n7_flush_self_open"
    assert result["agrees"] is True
    assert result["guarantee"] == "all interleavings"
    status, out, _ = run(capsys, "conformance", "--model", str(file))
    assert "n7_flush_self_open" in out
    assert "all interleavings" in out
