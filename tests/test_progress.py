"""Long searches: what is shown meanwhile, and what Ctrl-C leaves."""

import os
import pty
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from kwlab import kthread_run, raw_spin_lock_init
from kwlab.explore import check, join, progress
from kwlab.explore.depth_first import DepthFirst
from kwlab.explore.engine import Search
from kwlab.explore.progress import Progress, words
from kwlab.runtime.model import Ending


def counting() -> None:
    """Three clients and 1,680 interleavings of their locks, and more of their beginnings and ends."""
    lock, count = raw_spin_lock_init("lock"), [0]

    def client(data: object) -> None:
        for _ in range(3):
            with lock:
                count[0] += 1

    join(*[kthread_run(client, None, "client-%d", number) for number in range(3)])
    assert count == [9]


class Paper:
    """A display that keeps what it was shown."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.closed = 0

    def show(self, text: str) -> None:
        self.lines.append(text)

    def close(self) -> None:
        self.closed += 1


def test_a_long_search_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    paper = Paper()
    monkeypatch.setattr(progress, "SILENT", 0.0)
    monkeypatch.setattr(progress, "EVERY", 0.0)
    monkeypatch.setattr(progress, "display_here", lambda: paper)
    check(counting, strategy=DepthFirst(), executions=50)
    assert len(paper.lines) == 50
    assert paper.lines[6].startswith("searching: 7 executions, ")
    assert "branches known and not yet tried" in paper.lines[6]
    assert paper.closed == 1


def test_it_is_taken_away_when_the_search_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(DepthFirst):
        def end(self, ending: Ending) -> bool:
            raise RuntimeError("the strategy broke")

    paper = Paper()
    monkeypatch.setattr(progress, "SILENT", 0.0)
    monkeypatch.setattr(progress, "display_here", lambda: paper)
    with pytest.raises(RuntimeError, match="the strategy broke"):
        check(counting, strategy=Broken())
    assert len(paper.lines) == 1
    assert paper.closed == 1


def test_a_short_search_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> None:
        raise AssertionError("a display was made")

    monkeypatch.setattr(progress, "SILENT", 3600.0)
    monkeypatch.setattr(progress, "display_here", never)
    check(counting, strategy=DepthFirst(), executions=50)


def test_nobody_looks_when_nothing_is_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KWLAB_PROGRESS", raising=False)
    monkeypatch.setattr(sys, "stderr", open(os.devnull, "w"))
    assert progress.display_here() is None


def test_the_words() -> None:
    found = Search(executions=12345, steps=678, seconds=9.4)

    class Strategy(DepthFirst):
        states = 1234

    text = words(found, Strategy())
    assert text == (
        "searching: 12,345 executions, 678 steps, 1,234 states, 0 branches known and not yet tried, 9 s "
        "(Ctrl-C ends it with what it has found)"
    )


def test_no_clock_is_asked_for_when_it_is_closed_early() -> None:
    Progress(lambda: None).close()


# ------------------------------------------------------------------------------------------------------------ Ctrl-C


class Interrupted(DepthFirst):
    """Presses Ctrl-C at the end of an execution."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.left = at

    def end(self, ending: Ending) -> bool:
        self.left -= 1
        if not self.left:
            signal.raise_signal(signal.SIGINT)
        return super().end(ending)


def test_ctrl_c_gives_the_verdict_so_far() -> None:
    verdict = check(counting, strategy=Interrupted(30))
    assert verdict.ok
    assert verdict.executions == 30
    assert verdict.guarantee == "30 interleavings"
    assert verdict.notes == ["interrupted by Ctrl-C: this is what was found by then"]
    assert "interrupted by Ctrl-C" in str(verdict.explain())
    # And nothing of it is left.
    assert check(counting, strategy=DepthFirst(), executions=30).notes == []


def test_ctrl_c_in_the_middle_of_an_execution() -> None:
    """It ends the execution it comes in, and the search behind it."""
    left = [300]

    def pressed() -> None:
        lock = raw_spin_lock_init("lock")

        def client(data: object) -> None:
            for _ in range(2):
                with lock:
                    left[0] -= 1
                    if not left[0]:
                        signal.raise_signal(signal.SIGINT)

        join(*[kthread_run(client, None, "client-%d", number) for number in range(3)])

    verdict = check(pressed, strategy=DepthFirst())
    assert verdict.notes == ["interrupted by Ctrl-C: this is what was found by then"]
    assert 40 < verdict.executions < 60
    left[0] = -1
    assert check(pressed, strategy=DepthFirst(), executions=30).executions == 30


def test_a_second_ctrl_c_interrupts_the_scenario_itself() -> None:
    presses = []

    def hangs() -> None:
        def client(data: object) -> None:
            while True:
                presses.append(1)
                signal.raise_signal(signal.SIGINT)

        join(kthread_run(client, None, "client"))

    verdict = check(hangs, strategy=DepthFirst())
    assert verdict.notes == ["interrupted by Ctrl-C: this is what was found by then"]
    assert len(presses) == 2
    assert verdict.executions == 0
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_DFL
    assert check(counting, strategy=DepthFirst(), executions=30).executions == 30


def test_a_handler_of_the_program_stays() -> None:
    heard = []
    before = signal.signal(signal.SIGINT, lambda signum, frame: heard.append(signum))
    try:
        verdict = check(counting, strategy=Interrupted(30), executions=40)
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]
    assert verdict.executions == 40


SCRIPT = """
    import sys
    sys.path.insert(0, {tests!r})
    from test_progress import counting
    from kwlab.explore import check
    from kwlab.explore.depth_first import DepthFirst
    print("ready", flush=True)
    verdict = check(counting, strategy=DepthFirst(), seconds=60)
    print("verdict:", verdict.guarantee, verdict.notes, flush=True)
"""


@pytest.mark.slow
def test_in_a_terminal(tmp_path: Path) -> None:
    """A real terminal: the line comes after a second, and Ctrl-C ends the search with a verdict."""
    script = tmp_path / "search.py"
    script.write_text(textwrap.dedent(SCRIPT.format(tests=str(Path(__file__).parent))))
    main, side = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200", "KWLAB_PROGRESS": ""}
    child = subprocess.Popen([sys.executable, str(script)], stdin=side, stdout=side, stderr=side, env=environment)
    os.close(side)
    seen, ends = b"", time.monotonic() + 60
    try:
        interrupted = False
        while time.monotonic() < ends:
            try:
                seen += os.read(main, 4096)
            except OSError:
                break  # the child has closed its side
            if b"searching:" in seen and not interrupted:
                interrupted = True
                child.send_signal(signal.SIGINT)
        assert child.wait(10) == 0
    finally:
        child.kill()
        os.close(main)
    text = seen.decode()
    assert "searching: " in text
    assert "branches known and not yet tried" in text
    assert "interrupted by Ctrl-C: this is what was found by then" in text
    assert text.index("ready") < text.index("searching: ") < text.index("verdict:")
    assert "Traceback" not in text


@pytest.mark.slow
@pytest.mark.parametrize("off", ["off", ""])
def test_in_a_notebook(off: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KWLAB_PROGRESS", off)
    code = textwrap.dedent(SCRIPT.format(tests=str(Path(__file__).parent))).replace("seconds=60", "seconds=2.5")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    shown: list[str] = []

    class Client(NotebookClient):
        def process_message(self, message, cell, index):  # type: ignore[no-untyped-def]
            if message["msg_type"] == "update_display_data":
                shown.append(message["content"]["data"]["text/plain"])
            return super().process_message(message, cell, index)

    Client(notebook, timeout=60, kernel_name="python3").execute()
    outputs = notebook.cells[0].outputs
    texts = [output.data["text/plain"] for output in outputs if output.output_type == "display_data"]
    if off:
        assert shown == texts == []
    else:
        assert len(shown) > 3
        assert shown[0].startswith("searching: ")
        assert shown[-1] == ""
        assert texts == [""], "nothing is left of it"
