"""The experiments on sharing count right, and notice when the contestants do not behave as they say."""

import json
import platform
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from kwlab.bench import FULL, QUICK, Comparison, Observation, order, parallel, recording
from kwlab.bench.contestants import POOL, WORKER
from kwlab.bench.experiments import OF_WORKERS
from kwlab.bench.neighbour import SHARED, neighbour, noise
from kwlab.bench.order import coalescing, overtaken
from kwlab.bench.recording import measured, measured_on, ratio, recorded
from kwlab.bench.results import Result
from kwlab.draw.ratios import Ratio, ratios_picture
from kwlab.draw.waits import waits_picture
from kwlab.widgets.noise import NoiseSlider
from kwlab.worker import DEFINE_KTHREAD_WORK, kthread_queue_work
from tools import agreement

TINY = replace(QUICK, rounds=2, probes=3, levels=(0, 3), ordered=8, again=5)


@pytest.mark.parametrize(
    ("ended", "late"),
    [([], 0), ([0, 1, 2], 0), ([1, 0, 2], 1), ([2, 0, 1], 2), ([0, 3, 1, 2, 4], 2)],
)
def test_the_overtaken_are_counted(ended: list[int], late: int) -> None:
    assert overtaken(ended) == late


@pytest.mark.threads
def test_noise_is_as_loud_as_asked_and_ends() -> None:
    lock, reached = threading.Lock(), threading.Event()

    class Counted(ThreadPoolExecutor):
        def submit(self, function, /, *args, **more):  # type: ignore[no-untyped-def]
            with lock:
                handed_in.append(1)
                if len(handed_in) >= 20:
                    reached.set()
            return super().submit(function, *args, **more)

    handed_in: list[int] = []
    with Counted(2) as pool:
        with noise(pool, 3):
            assert len(handed_in) >= 3
            assert reached.wait(30), "the noise does not go on"
            assert pool._work_queue.qsize() <= 3
        count = len(handed_in)
        assert pool._work_queue.qsize() == 0
        assert pool.submit(lambda: "free").result(30) == "free"
        assert len(handed_in) == count + 1


@pytest.mark.threads
def test_silence_hands_nothing_in() -> None:
    with ThreadPoolExecutor(1) as pool, noise(pool, 0):
        assert not pool._threads


@pytest.mark.threads
def test_both_are_probed_under_every_level_of_noise() -> None:
    silent, loud, *kinds = neighbour(TINY)
    assert [one.name for one in kinds] == ["private-pinned", "private-nice", "private-fifo"]
    for found, level in ((silent, 0), (loud, 3)):
        assert isinstance(found, Comparison)
        assert found.details["others"] == level
        assert {name: len(values) for name, values in found.samples.items()} == {WORKER: 2, SHARED: 2}
        for waits in found.details["waits"].values():
            assert waits["percent"] == sorted(waits["percent"])
            assert waits["values"] == TINY.rounds * TINY.probes
    assert (silent.as_json()["target"], loud.as_json()["target"]) == (None, "at most 0.1")


@pytest.mark.threads
def test_a_worker_keeps_the_order_and_one_that_does_not_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = order.order(TINY)
    assert isinstance(found, Observation)
    assert found.met
    assert found.details["overtaken"][WORKER] == found.details["overtaken"][POOL] == 0
    monkeypatch.setattr(order, "_by_worker", lambda works: [*range(1, works), 0])
    (found,) = order.order(TINY)
    assert not found.met


@pytest.mark.threads
def test_a_lost_work_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "_by_worker", lambda works: list(range(works - 1)))
    (found,) = order.order(TINY)
    assert not found.met


@pytest.mark.threads
def test_a_pending_work_runs_once_and_submitted_items_run_each() -> None:
    runs, cost = coalescing(TINY)
    assert runs.details["runs"] == {WORKER: [1], POOL: [5]}
    assert runs.met
    assert isinstance(cost, Comparison)
    assert set(cost.samples) == {WORKER, POOL}


@pytest.mark.threads
def test_a_worker_that_does_not_coalesce_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def queue_a_copy(worker, work):  # type: ignore[no-untyped-def]
        return kthread_queue_work(worker, DEFINE_KTHREAD_WORK(work.func))

    monkeypatch.setattr(order, "kthread_queue_work", queue_a_copy)
    runs, _ = coalescing(TINY)
    assert runs.details["runs"][WORKER] == [5]
    assert not runs.met


@pytest.mark.threads
def test_the_worker_runs_one_at_a_time_and_the_pool_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lock, inside, most = threading.Lock(), 0, 0
    together = threading.Barrier(parallel.WORKS)

    def alone(work: object = None) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        with lock:
            inside -= 1

    monkeypatch.setattr(parallel, "_block", alone)
    parallel._by_worker()
    assert most == 1
    monkeypatch.setattr(parallel, "_block", lambda work=None: together.wait(30))
    parallel._by_pool()  # a broken barrier would be raised by result()


def run(**winners: str | None) -> dict[str, object]:
    return {"results": {name: {"winner": winner, "samples": {}} for name, winner in winners.items()} | {"order": {}}}


def test_opposite_winners_are_found_and_no_difference_contradicts_nobody() -> None:
    assert agreement.disagreements([run(a="x", b=None), run(a=None, b="y"), run(a="x", b="y")]) == []
    assert agreement.disagreements([run(a="x"), run(a=None), run(a="y")]) == ["a: won by x and by y"]


def test_the_tool_ends_with_1_if_runs_contradict_each_other(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.json" for number in range(2)]
    for file, winner in zip(files, "xy", strict=True):
        file.write_text(json.dumps(run(a=winner)))
    app = typer.Typer()
    app.command()(agreement.main)
    assert CliRunner().invoke(app, [str(files[0])] * 2).exit_code == 0
    assert CliRunner().invoke(app, [str(files[0])]).exit_code == 2
    done = CliRunner().invoke(app, [str(file) for file in files])
    assert done.exit_code == 1
    assert "a: won by x and by y" in done.output


# --------------------------------------------------------------------------------------------------- the recording


def all_recorded() -> dict[str, Result]:
    return {name: one for experiment in OF_WORKERS for name, one in measured(experiment).items()}


def test_what_was_said_of_the_recording_follows_from_its_samples() -> None:
    results = all_recorded()
    assert set(results) == set(recorded()["results"])
    for name, one in results.items():
        told = recorded()["results"][name]
        assert one.sentence() == told["sentence"]
        assert one.as_json()["winner"] == told["winner"]
        assert {"experiment": told["experiment"], **one.as_json()} | {"target": 0, "met": 0, "worst": 0} == told | {
            "target": 0,
            "met": 0,
            "worst": 0,
        }


def test_the_recording_is_a_full_one_in_which_everything_was_measured() -> None:
    assert recorded()["quick"] is False
    assert {"cpus", "load", "python", "system"} <= set(recorded()["machine"])
    assert [one.sentence() for one in all_recorded().values() if "not measured" in one.sentence()] == []
    assert {one.details["others"] for one in measured("neighbour").values() if one.details} == set(FULL.levels)


def test_what_was_recorded_on_is_said_and_that_it_is_a_recording() -> None:
    assert measured_on().startswith(f"{recorded()['machine']['cpus']} CPUs, Linux")
    assert measured_on().endswith("; a recording")
    assert platform.python_version() in measured_on(live=True)
    assert not measured_on(live=True).endswith("recording")


@pytest.mark.parametrize("live", [False, True])
def test_an_experiment_that_was_not_made_is_refused_by_name(live: bool) -> None:
    with pytest.raises(KeyError, match=r"no experiment 'noise'.*neighbour"):
        measured("noise", live=live)


@pytest.mark.threads
def test_live_measures_here_and_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "QUICK", TINY)
    assert measured("order", live=True)["order"].details["works"] == TINY.ordered
    assert measured("order")["order"].details["works"] == FULL.ordered


def test_a_ratio_is_that_of_the_comparison() -> None:
    found = measured("parallel")["parallel"]
    assert isinstance(found, Comparison)
    row = ratio("8 works", found)
    assert (row.over, row.under, (row.low, row.high)) == (found.over, found.under, found.interval)
    assert row.sure
    with pytest.raises(TypeError, match="order compares nothing"):
        ratio("order", measured("order")["order"])


# ----------------------------------------------------------------------------------------- the pictures and the slider


def test_the_picture_says_its_percentiles_and_tells_lines_apart_without_colour() -> None:
    drawn = waits_picture({"quick": [1e-5] * 100, "slow": [1e-3] * 98 + [2e-3] * 2})
    assert "quick: half within 10 µs, 99 % within 10 µs" in drawn.label
    assert "slow: half within 1 ms, 99 % within 2 ms" in drawn.label
    dashes = re.findall(r'<path class="line"[^>]*?(stroke-dasharray="[^"]+")?/>', drawn.svg)
    assert len(dashes) == 4  # two lines, and their entries in the legend
    assert len(set(dashes)) == 2


@pytest.mark.parametrize("waits", [{"short": [1.0] * 3}, {}, {str(number): [1.0] * 100 for number in range(6)}])
def test_waits_that_cannot_be_drawn_are_refused(waits: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match="one to 5 contestants of 100 times"):
        waits_picture(waits)


def test_the_ratios_stand_where_they_belong_and_a_draw_looks_different() -> None:
    def heights(*rows: Ratio) -> list[str]:
        return re.findall(r'<path class="mark" d="([^"]+)"', ratios_picture(rows).svg)

    sure, unsure = Ratio("S", "a", "b", 8.0, 7.0, 9.0, True), Ratio("S", "a", "b", 8.0, 7.0, 9.0, False)
    assert len(heights(sure)) != len(heights(unsure))
    less = replace(sure, median=0.5, low=0.4, high=0.6)
    left, right = (float(heights(less, sure)[number].split()[1]) for number in (0, 1))
    one = float(re.findall(r'<path class="line" d="M ([\d.]+)', ratios_picture([less, sure]).svg)[0])
    assert left < one < right
    assert ratios_picture([sure]).label == "S: a costs 8 times (7 to 9) as much as b"
    assert ratios_picture([unsure]).label.endswith(", no difference")
    with pytest.raises(ValueError, match="at least one"):
        ratios_picture([])


def test_the_slider_shows_every_recorded_level_and_its_own_conclusion() -> None:
    slider = NoiseSlider()
    levels = list(slider.slider.options)
    assert levels == sorted(FULL.levels)
    seen = set()
    for level in levels:
        slider.slider.value = level
        assert slider.sentence() == measured("neighbour")[f"neighbour-{level}"].sentence()
        assert f"beside {level} blocking works" in slider.children[2].value
        seen.add(slider.children[1].value)
    assert len(seen) == len(levels)


def test_the_slider_shows_what_was_measured_here_and_refuses_what_has_no_noise() -> None:
    results = {name: measured("neighbour")[name] for name in ("neighbour-0", "neighbour-8")}
    assert list(NoiseSlider(results).slider.options) == [0, 8]
    with pytest.raises(ValueError, match="no level of noise among order"):
        NoiseSlider(measured("order"))
