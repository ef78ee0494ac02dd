"""Keeping what a kernel answered, in the form in which the recordings come with kwlab."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kwlab.oracle.packages import KernelTree
from kwlab.oracle.play import Answer

__all__ = ["entry", "write_recording"]

BIG = 10_000  # bytes from which on a trace is kept gzipped


def entry(answer: Answer) -> dict[str, Any]:
    """What the kernel answered in one scenario, as plain data."""
    assert answer.played is not None
    seen = {**answer.played.observed.as_json(), "warns": answer.played.warn_places}
    return {"scenario": answer.scenario.name, **seen, **({"crash": answer.played.crash} if answer.played.crash else {})}


def write_recording(folder: Path, tree: KernelTree, answers: Iterable[Answer]) -> int:
    """Write observations (one JSON object a line), traces and /proc texts into `folder`; how many scenarios."""
    played = [answer for answer in answers if answer.played is not None]
    for name in ("traces", "proc"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(entry(answer)) for answer in played)
    (folder / f"linux-{tree.version}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    for answer in played:
        assert answer.played is not None
        name, trace = answer.scenario.name, answer.played.trace.encode()
        if len(trace) > BIG:
            (folder / "traces" / f"{name}.txt.gz").write_bytes(gzip.compress(trace, mtime=0))
        else:
            (folder / "traces" / f"{name}.txt").write_bytes(trace)
        for worker, text in answer.played.threads.items():
            (folder / "proc" / f"{name}.{worker}.txt").write_text(text, encoding="utf-8")
    return len(played)
