"""The measurements that the course shows where none are made: `kwlab bench --json` of one machine, in recorded.json.

What is said of a comparison is computed from its samples again.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from kwlab.bench.results import Comparison

__all__ = ["recorded", "recorded_comparison", "recorded_results", "recorded_sentence"]


@cache
def recorded() -> dict[str, Any]:
    """The whole recording: `machine`, `quick`, `results` by name."""
    text = (files("kwlab.bench") / "recorded.json").read_text(encoding="utf-8")
    told: dict[str, Any] = json.loads(text)
    return told


def recorded_results(start: str = "") -> list[str]:
    """The names of the recorded results that begin with `start`, as measured."""
    return [name for name in recorded()["results"] if name.startswith(start)]


def recorded_comparison(name: str) -> Comparison:
    """The recorded comparison of that name. Errors: `KeyError` if there is none."""
    results = recorded()["results"]
    if "samples" not in results.get(name, {}):
        compared = [one for one, result in results.items() if "samples" in result]
        raise KeyError(f"no comparison {name!r} in the recording: there are {', '.join(compared)}")
    told = results[name]
    over, _, under = told["ratio"].partition(" / ")
    return Comparison(name, told["subject"], told["unit"], told["samples"], over, under, None, told["details"])


def recorded_sentence(name: str) -> str:
    """What the recording says under that name. Errors: `KeyError` if there is no such result."""
    results = recorded()["results"]
    if name not in results:
        raise KeyError(f"no result {name!r} in the recording: there are {', '.join(results)}")
    return recorded_comparison(name).sentence() if "samples" in results[name] else str(results[name]["sentence"])
