"""A schedule: the number of the task that takes each step, and the short text in which it can be kept and sent.

    kw1-0x12.1x7.0-5f3a9c-1b2e

says: task 0 takes 12 steps, task 1 takes 7, task 0 one more. ``5f3a9c`` is a fingerprint of what those steps did (task,
operation, object; ``000000``: nobody looked), and ``1b2e`` a checksum of the text before it. Operations are the model's
primitives, so neither the Python version nor a comment in the code changes the fingerprint, and another scenario does.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from zlib import crc32

from kwlab.runtime.model_objects import ModelTask
from kwlab.runtime.model_ops import NAMES, target_name

__all__ = ["Schedule", "ScheduleError", "fingerprint_of", "fold"]

VERSION = "kw1"
_SHAPE = re.compile(r"(kw\d+)-([0-9x.]*)-([0-9a-f]{6})-([0-9a-f]{4})")
_RUN = re.compile(r"(\d{1,6})(?:x(\d{1,7}))?")
UNKNOWN = "000000"
LONGEST = 10_000_000  # steps; a text of a few characters could ask for more than there is memory


class ScheduleError(ValueError):
    """A schedule that does not fit: of another scenario, of another version of it, or damaged."""


class Schedule(list[int]):
    """A list of task numbers. ``str()`` of it is the short text; `fingerprint` is None if nobody ran it yet."""

    def __init__(self, tasks: Iterable[int] = (), fingerprint: str | None = None) -> None:
        super().__init__(tasks)
        self.fingerprint = fingerprint

    @classmethod
    def read(cls, given: "str | Sequence[int]") -> "Schedule":
        """A schedule from its text, or from task numbers. Errors: `ScheduleError`, which says what is wrong."""
        if isinstance(given, Schedule):
            return given
        if isinstance(given, str):
            return cls._parse("".join(given.split()))
        if wrong := [task for task in given if not isinstance(task, int) or task < 0]:
            raise ScheduleError(f"a schedule is a list of task numbers; {wrong[0]!r} is none")
        return cls(given)

    @classmethod
    def _parse(cls, text: str) -> "Schedule":
        parts = _SHAPE.fullmatch(text)
        if parts is None:
            raise ScheduleError(f"{_short(text)!r} is no schedule: one looks like {VERSION}-0x12.1x7.0-5f3a9c-1b2e")
        version, runs, fingerprint, checksum = parts.groups()
        if version != VERSION:
            raise ScheduleError(
                f"this schedule is of the format {version}, and this kwlab reads {VERSION}: find it anew"
            )
        if checksum != _checksum(f"{version}-{runs}-{fingerprint}"):
            raise ScheduleError(
                f"the schedule {_short(text)!r} is damaged: its checksum is not {checksum}. Was a character lost?"
            )
        tasks: list[int] = []
        for run in runs.split(".") if runs else ():
            found = _RUN.fullmatch(run)
            if found is None:
                raise ScheduleError(f"the schedule {_short(text)!r} is damaged: {run!r} is no run of steps")
            count = int(found[2] or 1)
            if len(tasks) + count > LONGEST:
                raise ScheduleError(f"this schedule has more than {LONGEST:,} steps")
            tasks += [int(found[1])] * count
        return cls(tasks, None if fingerprint == UNKNOWN else fingerprint)

    def __str__(self) -> str:
        runs = [(task, sum(1 for _ in steps)) for task, steps in groupby(self)]
        text = ".".join(str(task) if count == 1 else f"{task}x{count}" for task, count in runs)
        body = f"{VERSION}-{text}-{self.fingerprint or UNKNOWN}"
        return f"{body}-{_checksum(body)}"

    def __repr__(self) -> str:
        return f"<Schedule {self}>"


def fold(fingerprint: int, task: ModelTask) -> int:
    """The fingerprint with the step that `task` is about to take."""
    return crc32(
        f"{task.name} {NAMES[task.op]} {target_name(task.op, task.target, task.argument)}\n".encode(), fingerprint
    )


def fingerprint_of(folded: int) -> str:
    """A folded fingerprint as text: six hexadecimal digits."""
    return f"{folded & 0xFFFFFF:06x}"


def _checksum(text: str) -> str:
    return f"{crc32(text.encode()) & 0xFFFF:04x}"


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:40]}...{text[-15:]}"
