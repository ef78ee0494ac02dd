"""A referee that has everything imported and forks a fresh one for each answer: for many answers in a row.

Most of what a single check costs is the start of Python and pytest. A `WarmReferee` pays that once. It never looks at
an answer itself: each is judged by a fork of it, so nothing of one answer reaches the next, as with `kwlab.grade.run`.
"""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

from kwlab.grade.answer import Answer
from kwlab.grade.exercise import Exercise
from kwlab.grade.limits import SPARE
from kwlab.grade.mark import Mark
from kwlab.grade.run import HASH_SEED, GradingError, environment, source

__all__ = ["WarmReferee"]

_START = "import sys; sys.path.insert(0, sys.argv[1]); from kwlab.grade.referee import serve; serve(int(sys.argv[2]))"
_START_SECONDS = 60.0
PATIENT = 60.0  # seconds for one answer: nobody waits for it, and the machine has others to grade meanwhile


class WarmReferee:
    """Give marks one after the other; for one thread. A context manager: at its end the process is gone.

    `hash_seed` is another than marks are given with, to show that they do not depend on it.
    """

    def __init__(self, hash_seed: int = HASH_SEED) -> None:
        self._hash_seed = hash_seed
        self._process: subprocess.Popen[str] | None = None
        self._replies = -1
        self._rest = b""

    def __enter__(self) -> "WarmReferee":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def grade(
        self, exercise: Exercise, answer: Answer, *, seed: str = "", hard_stop: float = PATIENT, **options: Any
    ) -> Mark:
        """As `kwlab.grade.run.grade`. `options`: ``tests``, the names of those to be run, the others are "not run"; and
        two on which a mark must not depend: ``switch_interval``, and ``order``, a number that shuffles the tests."""
        request = {"folder": str(exercise.folder), "parts": answer.parts, "seed": seed, "hard_stop": hard_stop}
        request |= options
        try:
            reply = self._ask(json.dumps(request), hard_stop + _START_SECONDS)
        except BaseException:
            self.close()
            raise
        if "mark" not in reply:
            raise GradingError(f"the grader of {exercise.id} {reply['trouble']}")
        return Mark.from_dict(reply["mark"])

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            os.close(self._replies)
            self._process, self._rest = None, b""

    def _start(self) -> "subprocess.Popen[str]":
        self._replies, theirs = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-c", _START, str(source()), str(theirs)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs],
                env=environment(self._hash_seed),
                start_new_session=True,
                text=True,
            )
        except BaseException:
            os.close(self._replies)
            raise
        finally:
            os.close(theirs)
        return self._process

    def _ask(self, request: str, seconds: float) -> dict[str, Any]:
        process = self._process or self._start()
        assert process.stdin is not None
        try:
            process.stdin.write(request + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise GradingError("the referee ended unasked, which is not your doing") from None
        end = time.monotonic() + seconds
        while b"\n" not in self._rest:
            if not select.select([self._replies], [], [], max(end - time.monotonic(), 0))[0]:
                raise GradingError(f"the referee did not answer in {seconds:g} s, which is not your doing")
            piece = os.read(self._replies, 2**16)
            if not piece:
                raise GradingError("the referee ended unasked, which is not your doing")
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        return reply


def judge_in_a_fork(request: dict[str, Any], judge_and_write: Any) -> dict[str, Any]:
    """In the warm process: let a fork of it judge, at most ``hard_stop`` seconds; its mark, or what went wrong."""
    until = time.monotonic() + request["hard_stop"]
    request["until"] = until - SPARE
    ours, theirs = os.pipe()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as report:
        pid = os.fork()
        if pid == 0:
            try:
                os.close(ours)
                os.setsid()
                os.dup2(report.fileno(), 1)
                os.dup2(report.fileno(), 2)
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                if "switch_interval" in request:
                    sys.setswitchinterval(request["switch_interval"])
                judge_and_write(request, theirs)
                code = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
                code = 1
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        os.close(theirs)
        result, in_time = _read_all(ours, until)
        os.close(ours)
        if not in_time:
            os.killpg(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if in_time and result and code == 0:
            return {"mark": json.loads(result)}
        report.seek(0)
        how = f"ended with {code}" if in_time else f"was stopped after {request['hard_stop']:g} s"
        return {"trouble": f"{how}, which is not your doing:\n{report.read()[-3000:]}"}


def _read_all(fd: int, end: float) -> tuple[bytes, bool]:
    data = b""
    while select.select([fd], [], [], max(end - time.monotonic(), 0))[0]:
        piece = os.read(fd, 2**16)
        if not piece:
            return data, True
        data += piece
    return data, False
