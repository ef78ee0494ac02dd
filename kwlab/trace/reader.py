"""Reading trace files of any length: one event at a time, and no line is lost without being counted."""

import gzip
import io
import re
import shutil
import subprocess
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from kwlab.trace.line import LineError, lost_events, parse_event
from kwlab.tracepoint import Event

__all__ = ["Counts", "TraceError", "TraceReader", "with_losses"]

GZIP = b"\x1f\x8b"
TRACE_DAT = b"\x17\x08\x44tracing"
INSTANCE = re.compile(r"^[^\s:]+: +(?=\S)")  # which trace-cmd puts before events of a trace instance
SHOWN = 20  # lines that were skipped, of which number and reason are kept
LONGEST = 16_384  # characters; a longer line is no line of a trace
STEP = 4096  # lines from one call of `progress` to the next


class TraceError(ValueError):
    """A file that cannot be read as a trace: says which, at which line, and why."""


@dataclass
class Counts:
    """What became of every line: ``lines == events + comments + lost_lines + stack_lines + skipped``."""

    lines: int = 0
    events: int = 0
    comments: int = 0  # and empty ones
    lost_lines: int = 0
    stack_lines: int = 0  # of stack traces between the events
    skipped: int = 0
    lost_events: int = 0  # that the kernel says it lost
    first_skipped: list[tuple[int, str]] = field(default_factory=list)  # number of the line, and why

    def __str__(self) -> str:
        parts = [f"{self.lines:,} lines, {self.events:,} events"]
        if self.lost_lines:
            number = f"{self.lost_events:,}" if self.lost_events else "an unknown number of"
            parts.append(f"the kernel lost {number} events ({self.lost_lines} times)")
        if self.skipped:
            line, why = self.first_skipped[0]
            parts.append(f"{self.skipped:,} lines skipped (the first is line {line}: it {why})")
        return "; ".join(parts)


class TraceReader:
    """The events of a trace, in the order of the file; iterate over it once, look at `counts` afterwards.

    `source` is a file (ftrace's text, plain or gzipped, or trace-cmd's trace.dat) or the lines themselves. A line that
    cannot be read is skipped and counted, or with `strict` a `TraceError`. `progress` is called now and then with the
    bytes read so far and the size of the file (0: not known).
    """

    def __init__(
        self,
        source: str | Path | Iterable[str],
        strict: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.name = str(source) if isinstance(source, (str, Path)) else "the trace"
        self.counts = Counts()
        self._source, self._strict, self._progress = source, strict, progress

    def __iter__(self) -> Iterator[Event]:
        if not isinstance(self._source, (str, Path)):
            yield from self._events(self._source, lambda: None)
            return
        try:
            yield from self._of_file(Path(self._source))
        except (OSError, EOFError, zlib.error) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise TraceError(f"{self.name}: line {self.counts.lines + 1}: cannot be read: {why}") from None

    def _of_file(self, path: Path) -> Iterator[Event]:
        with path.open("rb") as file:
            head = file.peek(16)[:10]
            if head.startswith(TRACE_DAT):
                yield from self._of_trace_cmd(path)
                return
            size = path.stat().st_size
            plain: Any = gzip.open(file) if head.startswith(GZIP) else file
            tell = file.raw.tell
            yield from self._events(_text(plain), lambda: self._progress and self._progress(tell(), size))

    def _of_trace_cmd(self, path: Path) -> Iterator[Event]:
        program = shutil.which("trace-cmd")
        if program is None:
            raise TraceError(f"{self.name} is a trace.dat, which the program trace-cmd reads; it is not installed here")
        command = [program, "report", "-t", "-i", str(path)]  # -t keeps nanoseconds
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            yield from self._events((INSTANCE.sub("", line) for line in _text(process.stdout)), lambda: None)
        if process.returncode or not self.counts.lines:
            raise TraceError(f"{self.name}: line {self.counts.lines}: trace-cmd cannot read on: the file is damaged")

    def _events(self, lines: Iterable[str], tell: Callable[[], object]) -> Iterator[Event]:
        counts = self.counts
        for line in lines:
            counts.lines += 1
            if not counts.lines % STEP:
                tell()
            try:
                event = parse_event(line)
            except LineError as error:
                self._no_event(line, error)
                continue
            counts.events += 1
            yield event
        tell()

    def _no_event(self, line: str, error: LineError) -> None:
        counts, said = self.counts, line.strip()
        if not said or said.startswith("#") or said.startswith(("cpus=", "CPU ")) or said == "version = 6":
            counts.comments += 1
        elif (lost := lost_events(said)) is not None:
            counts.lost_lines += 1
            counts.lost_events += lost
        elif said.startswith("=> ") or said.endswith(": <stack trace>"):
            counts.stack_lines += 1
        elif self._strict:
            raise TraceError(f"{self.name}: line {counts.lines}: {error}: {said[:100]!r}")
        else:
            counts.skipped += 1
            if len(counts.first_skipped) < SHOWN:
                counts.first_skipped.append((counts.lines, str(error)))


def with_losses(events: Iterable[Event]) -> Iterator[tuple[Event, bool]]:
    """Each event, and whether the kernel lost others right before it. A `TraceReader` knows; others have all."""
    counts, seen = events.counts if isinstance(events, TraceReader) else Counts(), 0
    for event in events:
        yield event, counts.lost_lines != seen
        seen = counts.lost_lines


def _text(file: IO[bytes]) -> Iterator[str]:
    """The lines of `file`. One that does not end is cut into pieces, each a line that cannot be read."""
    text = io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="\n")
    while line := text.readline(LONGEST):
        yield line
    text.detach()  # the file is closed by whoever opened it
