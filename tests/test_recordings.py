"""The scenario files say what the kernels answered: every answer is compared with the recordings themselves."""

import json
from pathlib import Path
from typing import Any

import pytest

from kwlab.scenario.conformance import recorded
from kwlab.scenario.format import OneOf, Scenario
from kwlab.scenario.load import load
from kwlab.scenario.observations import inside_of
from kwlab.scenario.versions import DIFFERENCES, RECORDED

FOLDER = Path(__file__).parent / "recordings"
RECORDINGS: dict[str, dict[str, Any]] = {
    version: {
        entry["scenario"]: entry for entry in json.loads((FOLDER / f"linux-{version}.json").read_text(encoding="utf-8"))
    }
    for version in RECORDED
}
FILES = {path.stem: path for path in recorded()}

# What a process cannot do. Everything else must be played.
OUTSIDE_A_KERNEL = {"u1_from_hardirq", "v2_latency", "o_proc", "o_cpu_offline_create"}

# Where the recorder had a name of its own for a check: ours, and how its answer reads.
CHECKS = {
    "check_X_ended": ("check_ended", bool),
    "check_W2_ended": ("check_ended", bool),
    "check_WB_ended": ("check_ended", bool),
    "check_second_run_ended": ("check_ended", bool),
    "check_ran_by_200ms": ("check_runs", int),
    "check_ran_by_300ms": ("check_runs", lambda runs: runs + 1),  # the recorder printed runs - 1
    "check_ran_anyway": ("check_runs", int),
    "check_X_runs": ("check_runs", int),
    "check_stuck_1s": ("check_stuck", bool),
    "check_still_requeueing_after_flush": ("check_runs_again", bool),
    "check_cancel_stopped_the_loop_without_bstop": ("check_runs_again", lambda stopped: not stopped),
    "check_true_returns_equal_runs": ("check_true_returns_equal_runs", bool),
    "blocked": ("blocked", bool),
    "returned": ("returned", bool),
}
TIMES = {"check_stuck": 1000, "check_still_requeueing_after_flush": 30, "check_cancel_stopped": 200}
# Works for which the recording gives only the name of the function.
FUNCTIONS = {"kwo_self_free_fn": "F", "kw_fn": "W"}


def said(step: dict[str, Any]) -> tuple[str, list[Any], Any]:
    """A recorded step as our files say it: operation, arguments, answer."""
    name, arguments, answer = step["op"], list(step["args"]), step["ret"]
    if name in ("blocked", "returned"):
        arguments = arguments[:1]
    arguments += [time for prefix, time in TIMES.items() if name.startswith(prefix)]
    if name in CHECKS:
        name, read = CHECKS[name]
        answer = read(answer)
    elif name in ("state_work_list", "state_delayed_work_list"):
        answer = [work for work in answer["content"].split(">") if work and work != "empty"]
    return name, arguments, answer


def recorded_calls(entry: dict[str, Any]) -> dict[str, list[tuple[str, list[Any], Any]]]:
    """The recorded steps by who made them. A rescue was printed once for each entry, and once with their number."""
    calls: dict[str, list[tuple[str, list[Any], Any]]] = {}
    rescued: list[str] = []
    for step in entry["steps"]:
        if step["op"] == "check_rescue":
            rescued.append(step["args"][1])
        elif step["op"] == "check_needed_rescue":
            assert step["ret"] == len(rescued)
            calls.setdefault(step["by"], []).append(("rescue", [], rescued))
        else:
            calls.setdefault(step["by"], []).append(said(step))
    return calls


def file_calls(scenario: Scenario) -> dict[str, list[tuple[str, list[Any], Any]]]:
    calls: dict[str, list[tuple[str, list[Any], Any]]] = {}
    for call in scenario.steps:
        name = call.operation.name
        if call.compared or name == "open_gate":
            arguments = [] if name == "rescue" else list(call.arguments)
            calls.setdefault(call.by, []).append((name, arguments, call.answer if call.compared else None))
    return calls


def plain(calls: dict[str, list[tuple[str, list[Any], Any]]]) -> dict[str, list[tuple[str, list[Any], str]]]:
    # As text: in Python, True == 1.
    return {who: [(name, args, repr(answer)) for name, args, answer in made] for who, made in calls.items()}


def test_every_recorded_scenario_has_its_file_and_nothing_else_claims_to_be_recorded() -> None:
    assert set(FILES) == set(RECORDINGS["6.1.192"]) == set(RECORDINGS["6.12.95"])
    assert all(load(path).name == stem for stem, path in FILES.items())


def test_only_what_cannot_exist_outside_a_kernel_is_not_applicable() -> None:
    scenarios = {name: load(path) for name, path in FILES.items()}
    reasons = {name: scenario.not_applicable for name, scenario in scenarios.items() if scenario.not_applicable}
    assert reasons.keys() == OUTSIDE_A_KERNEL
    assert all(len(reason) > 40 for reason in reasons.values())
    assert len(scenarios) - len(reasons) >= 47


@pytest.mark.parametrize("version", RECORDED)
@pytest.mark.parametrize("name", sorted(FILES.keys() - OUTSIDE_A_KERNEL))
def test_the_file_says_what_the_kernel_answered(name: str, version: str) -> None:
    scenario, entry = load(FILES[name]), RECORDINGS[version][name]
    expected, wanted = recorded_calls(entry), file_calls(scenario)
    if name == "f7_flush_endless":
        # By timing it is true or false; the recording saw false.
        place = next(n for n, call in enumerate(wanted["act1"]) if call[0] == "kthread_cancel_work_sync")
        assert wanted["act1"][place][2] == OneOf((True, False))
        assert expected["act1"][place] == ("kthread_cancel_work_sync", ["W"], False)
        wanted["act1"][place] = expected["act1"][place]
    assert plain(wanted) == plain(expected)
    assert list(scenario.order) == entry["order"]
    assert list(scenario.warns) == [place.split()[-1] for place in entry["warns"]]
    inside = [
        (run, call.operation.name, list(call.arguments), call.answer)
        for run, c in inside_of(scenario).items()
        for call in c
    ]
    # In n7_flush_self_close the run began in the entry before, so the recording does not know its name.
    assert inside == [(call["work"] or "W#1", call["op"], call["args"], call["ret"]) for call in entry["inside"]]


@pytest.mark.parametrize("name", sorted(FILES.keys() - OUTSIDE_A_KERNEL))
def test_the_trace_is_that_of_the_kernel_where_it_was_the_same_in_all_runs(name: str) -> None:
    scenario = load(FILES[name])
    if not RECORDINGS["6.1.192"][name]["notes"]["trace_same_in_all_runs"]:
        assert scenario.trace is None
        return
    for version in RECORDED:
        trace = [(kind, FUNCTIONS.get(work, work)) for kind, work in RECORDINGS[version][name]["trace"]]
        assert scenario.trace == tuple(trace)


def test_the_table_of_versions_has_every_difference_between_the_two_recordings() -> None:
    old, new = (RECORDINGS[version] for version in RECORDED)
    free_running = {name for name, entry in old.items() if not entry["notes"].get("trace_same_in_all_runs", True)}
    found = set()
    for name in old:
        for key in old[name].keys() - {"notes"} - ({"trace"} if name in free_running else set()):
            if old[name][key] != new[name][key]:
                found.add((name, key, *old[name][key], *new[name][key]))
    in_table = {(row.shown_by[0], "warns", *row.says[:2]) for row in DIFFERENCES if row.warn_place}
    assert found == in_table
