"""The other way to test: run a scenario on real threads, many times, and hope that the bug shows itself.

It is here to be compared with. Each run takes the one interleaving that the machine happens to take, and a scenario
that passes has been seen to pass, no more. What may hang must not hang the caller, so the runs are made in a child
process: each finished run is a byte in a pipe, and when none comes for a while the child is ended, its run counted
as hung, and another child goes on.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Stress", "stress"]


@dataclass(frozen=True, slots=True)
class Stress:
    """How many `runs` were made on real threads, and how many of them `hung` or `failed` with an exception."""

    runs: int
    hung: int
    failed: int

    def __str__(self) -> str:
        return f"{self.runs:,} runs on real threads: {self.hung:,} hung, {self.failed:,} failed"


def stress(scenario: Callable[[], object], runs: int = 1000, *, patience: float = 3.0, seconds: float = 60.0) -> Stress:
    """Run `scenario` up to `runs` times on real threads, in a child process.

    `patience`: seconds without a finished run until that run counts as hung. `seconds`: the limit for all of it; the
    result says how many runs were made. Errors: `ValueError` for no runs, `OSError` where there is no ``os.fork``.
    """
    if runs < 1:
        raise ValueError(f"stress(runs={runs}): at least one")
    if not hasattr(os, "fork"):
        raise OSError("stress() needs os.fork(), which this system does not have; check() needs nothing")
    done = hung = failed = 0
    end = time.monotonic() + seconds
    while done < runs and time.monotonic() < end:
        pid, results = _child(scenario, runs - done)
        try:
            while done < runs:
                wait = min(patience, end - time.monotonic())
                if wait <= 0:
                    break
                if not select.select([results], [], [], wait)[0]:
                    if wait == patience:
                        done, hung = done + 1, hung + 1
                    break
                finished = os.read(results, 65536)
                if not finished:
                    break
                done += len(finished)
                failed += finished.count(b"x")
        finally:
            os.close(results)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return Stress(done, hung, failed)


def _child(scenario: Callable[[], object], runs: int) -> tuple[int, int]:
    """Start a process that writes a byte for every run: "." or, after an exception, "x"."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    try:
        # What the copy prints would be printed by the parent's streams a second time.
        sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")
        for _ in range(runs):
            try:
                scenario()
                os.write(writing, b".")
            except Exception:
                os.write(writing, b"x")
    finally:
        os._exit(0)
