"""Start a referee for one answer and bring back its mark: the one path of notebook, command line and CI."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import kwlab.grade
from kwlab.grade.answer import Answer
from kwlab.grade.exercise import Exercise
from kwlab.grade.limits import HARD_STOP, SPARE
from kwlab.grade.mark import Mark

__all__ = ["HARD_STOP", "GradingError", "grade"]

_START = "import sys; sys.path.insert(0, sys.argv[1]); from kwlab.grade.referee import main; main(int(sys.argv[2]))"

# Any fixed number will do: an answer that goes through a set of strings does so in the same order each time.
HASH_SEED = 0


class GradingError(Exception):
    """No mark could be given, and it is not the answer's doing (a defect of the grader, or a machine without fork)."""


def grade(exercise: Exercise, answer: Answer, *, seed: str = "", hard_stop: float = HARD_STOP) -> Mark:
    """The mark of `answer`, given by a fresh process; at most `hard_stop` seconds.

    `seed` is the learner's: some exercises choose by it what an answer is tried with.

    Raises `GradingError` if the referee fails or runs out of time itself. Ctrl-C ends the check and leaves nothing.
    """
    if not hasattr(os, "fork"):
        raise GradingError("grading needs Linux, macOS or WSL: this system has no fork()")
    if not exercise.grader.exists():
        raise GradingError(f"this edition of the course has no grader for {exercise.id}: your instructor grades it")
    until = time.monotonic() + hard_stop - SPARE
    request = json.dumps({"folder": str(exercise.folder), "parts": answer.parts, "seed": seed, "until": until})
    ours, theirs = os.pipe()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as report:
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-c", _START, str(source()), str(theirs)],
                stdin=subprocess.PIPE,
                stdout=report,
                stderr=report,
                pass_fds=[theirs],
                cwd=exercise.folder,
                env=environment(),
                start_new_session=True,
                text=True,
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        with os.fdopen(ours, encoding="utf-8") as pipe:
            stop = threading.Timer(hard_stop, _end, [process])
            stop.start()
            try:
                assert process.stdin is not None
                try:
                    with process.stdin as stdin:
                        stdin.write(request)
                except BrokenPipeError:
                    pass  # it ended before it read: its exit code and report say why
                result = pipe.read()
                process.wait()
            finally:
                timed_out = not stop.is_alive()
                stop.cancel()
                _end(process)
                process.wait()
        if process.returncode != 0 or not result:
            report.seek(0)
            how = f"was stopped after {hard_stop:g} s" if timed_out else f"ended with {process.returncode}"
            raise GradingError(f"the grader of {exercise.id} {how}, which is not your doing:\n{report.read()[-3000:]}")
    return Mark.from_dict(json.loads(result))


def _end(process: "subprocess.Popen[str]") -> None:
    # The group of a process that was waited for may be another's by now.
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def source() -> Path:
    """The folder that this kwlab is imported from: the referee must be of the same make."""
    return Path(kwlab.grade.__file__).resolve().parents[2]


def environment(hash_seed: int = HASH_SEED) -> dict[str, str]:
    """Nothing of the caller's that could change a mark, and no secret of theirs: a box inherits it."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    fixed = {"PYTHONHASHSEED": str(hash_seed), "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return kept | fixed | {"LANG": "C.UTF-8", "PYTHONUTF8": "1"}
