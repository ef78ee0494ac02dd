"""Traces of real kernels that come with the package, for machines on which nothing can be traced.

``linux-6.1/NAME`` is a recorded scenario under QEMU (see `kwlab.scenario`), ``linux-6.18/idle`` and ``/loaded`` are 40
real works of RCU's own worker on a machine that was idle, and on one that was busy.
"""

from pathlib import Path

__all__ = ["recorded_trace", "recorded_traces"]

FOLDER = Path(__file__).parent / "recorded"


def recorded_traces() -> tuple[str, ...]:
    """The names there are."""
    return tuple(sorted(f"{path.parent.name}/{_stem(path)}" for path in FOLDER.glob("*/*.txt*")))


def recorded_trace(name: str) -> Path:
    """The file of a recorded trace. Errors: `ValueError` for a name there is not."""
    for path in (FOLDER / f"{name}.txt", FOLDER / f"{name}.txt.gz"):
        if path.is_file():
            return path
    raise ValueError(f"no recorded trace {name!r}: kwlab.trace.recorded.recorded_traces() lists them")


def _stem(path: Path) -> str:
    return path.name.partition(".txt")[0]
