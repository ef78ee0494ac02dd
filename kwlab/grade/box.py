"""The referee's side of the box: start an answer's process, ask it, watch it, end it.

An answer hangs when it has used its processor time, or has slept that long; a process that merely waits for a busy
machine does not. Where every thread of it hangs comes from a signal handler in C, so a thread that holds every lock
there is, is named as well.
"""

import json
import os
import re
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Mapping
from types import CodeType, ModuleType
from typing import Any

from kwlab.grade import limits
from kwlab.grade.exercise import Exercise
from kwlab.grade.inside import run_and_exit

__all__ = ["Box", "Clock", "Ended", "Hangs", "TimeIsUp"]

MAX_REPLY = 16 * 2**20
_POLL = 0.02
_MAX_PLACE, _MAX_PLACES = 200, 20
_NONSENSE = "its process sent what is no answer"
_FRAME = re.compile(r'File "(?P<file>[^"]*)", line (?P<line>\d+) in (?P<function>.*)')


class Ended(Exception):
    """The answer's process ended (or talked nonsense) in place of an answer; the message says how."""


class TimeIsUp(Exception):
    """The time for the whole check is over."""


class Hangs(Exception):
    """The answer did not come back. `threads` holds a sentence for each thread: where it is."""

    def __init__(self, how: str, threads: list[str]) -> None:
        super().__init__(how)
        self.how, self.threads = how, threads


class Clock:
    """How long answers may take: all until `end` (`time.monotonic`), `first` seconds at work or asleep for one request
    and, once one has hung, `later` for each that follows."""

    def __init__(self, end: float, first: float = 1.0, later: float = 0.3) -> None:
        self.end = end
        self.patience, self._later = first, later

    def one_hung(self) -> None:
        self.patience = self._later


class Box:
    """One process with the answer loaded. `broken` maps the number of each part that failed to load to its reply."""

    def __init__(self, exercise: Exercise, code: Mapping[int, CodeType], probes: ModuleType, clock: Clock) -> None:
        self._clock = clock
        self._socket, theirs = socket.socketpair()
        self._stacks, stacks = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            run_and_exit(exercise, code, probes, theirs.fileno(), stacks)
        theirs.close()
        os.close(stacks)
        try:
            if (trouble := self._reply()["trouble"]) is not None:
                raise RuntimeError(f"the box of an answer could not be made: {trouble}")
            broken = self._reply().get("broken")
            if not isinstance(broken, dict) or not all(isinstance(reply, dict) for reply in broken.values()):
                raise Ended(_NONSENSE)
        except BaseException:
            self.close()
            raise
        self.broken: dict[int, dict[str, Any]] = {part: broken[str(part)] for part in code if str(part) in broken}

    def ask(self, probe: str, *arguments: Any) -> dict[str, Any]:
        """What a probe says of the answer. Raises `Hangs`, `Ended` or `TimeIsUp` if it says nothing."""
        text = json.dumps({"probe": probe, "arguments": arguments}).encode()
        try:
            self._socket.sendall(struct.pack("!I", len(text)) + text)
        except OSError:
            raise Ended(self._how_it_ended()) from None
        return self._reply()

    def close(self) -> None:
        """End the process and whatever it left behind."""
        self._socket.close()
        os.close(self._stacks)
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0
        limits.kill_children()

    def _reply(self) -> dict[str, Any]:
        (size,) = struct.unpack("!I", self._read(4))
        if size > MAX_REPLY:
            raise Ended("its process sent more than an answer can be")
        try:
            reply = json.loads(self._read(size))
        except (ValueError, RecursionError):
            raise Ended(_NONSENSE) from None
        if not isinstance(reply, dict):
            raise Ended(_NONSENSE)
        return reply

    def _read(self, size: int) -> bytes:
        data = b""
        used, slept, seen = _processor_time(self.pid), 0.0, time.monotonic()
        while len(data) < size:
            if select.select([self._socket], [], [], _POLL)[0]:
                try:
                    piece = self._socket.recv(min(size - len(data), 2**16))
                except OSError:
                    piece = b""
                if not piece:
                    raise Ended(self._how_it_ended())
                data += piece
                continue
            now = time.monotonic()
            slept = slept + now - seen if _sleeps(self.pid) else 0.0
            seen = now
            if _processor_time(self.pid) - used >= self._clock.patience:
                self._hangs("ran on and on")
            if slept >= self._clock.patience:
                self._hangs("went to sleep and was never woken")
            if now >= self._clock.end:
                raise TimeIsUp
        return data

    def _hangs(self, how: str) -> None:
        self._clock.one_hung()
        raise Hangs(how, self._where())

    def _where(self) -> list[str]:
        os.kill(self.pid, signal.SIGUSR1)
        dump = b""
        wait = 1.0
        while len(dump) < 2**16 and select.select([self._stacks], [], [], wait)[0]:
            piece = os.read(self._stacks, 2**16)
            if not piece:
                break
            dump, wait = dump + piece, 0.05
        return places(dump.decode(errors="replace"))

    def _how_it_ended(self) -> str:
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            return f"its process was ended by {signal.Signals(-code).name}"
        return f"its process exited with status {code}"


def places(dump: str) -> list[str]:
    """A sentence for each thread of a faulthandler dump: the innermost line of the answer, else the innermost line."""
    found = []
    for stack in re.split(r"^(?:Current thread|Thread) .*\n", dump, flags=re.MULTILINE):
        frames = list(_FRAME.finditer(stack))
        if not frames:
            continue
        own = [frame for frame in frames if frame["file"].startswith("<part ")]
        frame = (own or frames)[0]
        file = frame["file"].strip("<>").replace("\\", "/").rsplit("/", 1)[-1]
        found.append(f"{file}, line {frame['line']}, in {frame['function']}"[:_MAX_PLACE])
    return found[:_MAX_PLACES]  # an answer can write there too


def _processor_time(pid: int) -> float:
    if sys.platform != "linux":
        return 0.0
    # The id of another process's CPU clock, as clock_getcpuclockid(3) makes it.
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _sleeps(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in "SDTt"
    except OSError:
        return sys.platform != "linux"  # elsewhere only the clock on the wall is known
