"""What reading a kernel's trace costs, beside the least that any reader pays: the regular expression of its header."""

import gzip
import re
import time

from kwlab.bench.results import Comparison, Result, Target
from kwlab.bench.size import Size
from kwlab.trace.reader import TraceReader
from kwlab.trace.recorded import recorded_trace, recorded_traces

__all__ = ["parser"]

BARE = "the bare header"
WHOLE = "kwlab.trace"
HEADER = re.compile(
    r"^\s*(?P<comm>.{1,16}?)-(?P<pid>\d+)\s+\[(?P<cpu>\d{3,})\]\s(?P<flags>\S{5})\s+(?P<ts>\d+\.\d{6}): (?P<ev>\w+): "
    r"(?P<rest>.*)$"
)


def parser(size: Size) -> list[Result]:
    """Seconds for a line of the recorded traces, in turns."""
    lines = [line for name in recorded_traces() for line in _lines(name)]
    samples: dict[str, list[float]] = {BARE: [], WHOLE: []}
    for _ in range(size.rounds):
        begin = time.perf_counter()
        for line in lines:
            HEADER.match(line)
        between = time.perf_counter()
        for _ in TraceReader(lines):
            pass
        samples[BARE].append((between - begin) / len(lines))
        samples[WHOLE].append((time.perf_counter() - between) / len(lines))
    promise = Target(at_least=0.25)
    return [Comparison("parser", "reading a line of a trace", "s", samples, BARE, WHOLE, promise)]


def _lines(name: str) -> list[str]:
    path = recorded_trace(name)
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines(keepends=True)
