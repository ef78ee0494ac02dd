"""Measurements for the course: those of the recording, recorded.json, or made now on the learner's own machine.

The recording is `kwlab bench --json` of one machine. What is said of a comparison is computed from its samples again.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from kwlab.bench.experiments import EXPERIMENTS, QUICK
from kwlab.bench.machine import machine
from kwlab.bench.results import Comparison, Observation, Result
from kwlab.bench.statistics import median
from kwlab.draw.ratios import Ratio

__all__ = ["from_json", "measured", "measured_on", "ratio", "recorded"]


@cache
def recorded() -> dict[str, Any]:
    """The whole recording: `machine`, `quick`, `results` by name."""
    text = (files("kwlab.bench") / "recorded.json").read_text(encoding="utf-8")
    told: dict[str, Any] = json.loads(text)
    return told


def measured(experiment: str, live: bool = False) -> dict[str, Result]:
    """The results of `experiment` by name: recorded ones, or with `live` as measured here and now, in a few seconds.

    Print what a result says with `sentence()`. Errors: `KeyError` names the experiments there are.
    """
    results = recorded()["results"].values()
    names = {told["experiment"] for told in results}
    if experiment not in (EXPERIMENTS if live else names):
        raise KeyError(f"no experiment {experiment!r}: there are {', '.join(sorted(names))}")
    if live:
        return {one.name: one for one in EXPERIMENTS[experiment](QUICK)}
    return {told["name"]: from_json(told) for told in results if told["experiment"] == experiment}


def measured_on(live: bool = False) -> str:
    """The machine that `measured` tells of, in a line."""
    told = machine() if live else recorded()["machine"]
    lock = "a GIL" if told["gil"] else "no GIL"
    return f"{told['cpus']} CPUs, {told['system']}, {told['python']} with {lock}" + ("" if live else "; a recording")


def from_json(told: Mapping[str, Any]) -> Result:
    """A result from what its `as_json` gave."""
    if "samples" not in told:
        return Observation(*(told[key] for key in ("name", "subject", "seen", "target", "met", "details")))
    over, _, under = told["ratio"].partition(" / ")
    name, subject, unit, samples, details, remark = (
        told[key] for key in ("name", "subject", "unit", "samples", "details", "remark")
    )
    return Comparison(name, subject, unit, samples, over, under, None, details, remark)


def ratio(subject: str, result: Result) -> Ratio:
    """A comparison as a row of `ratios_picture`. Errors: `TypeError` for what compares nothing."""
    if not isinstance(result, Comparison):
        raise TypeError(f"{result.name} compares nothing: {result.sentence()}")
    low, high = result.interval
    return Ratio(subject, result.over, result.under, median(result.ratios), low, high, result.winner is not None)
