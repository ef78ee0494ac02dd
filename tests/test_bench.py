"""The benchmarks count right, judge right, and never name a winner inside the noise. Nothing here asserts a time."""

import gc
import json
import os
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from kwlab.bench import EXPERIMENTS, FULL, QUICK, Comparison, Observation, Size, Target, bootstrap, command, machine
from kwlab.bench import threads as bench_threads
from kwlab.bench.contestants import FLOOR, POOL, WORKER
from kwlab.bench.experiments import OF_WORKERS
from kwlab.bench.latency import Started, wake_ups
from kwlab.bench.results import DRAW, FEWEST, not_measured
from kwlab.bench.statistics import middle_mean, paired, percentile
from kwlab.bench.throughput import collections_counted, pool_cost, worker_cost
from kwlab.cli import build
from kwlab.draw.units import quantity
from kwlab.runtime.linux import allowed_cpus
from kwlab.worker import (
    DEFINE_KTHREAD_WORK,
    KthreadWorker,
    kthread_flush_work,
    kthread_queue_work,
    kthread_run_worker_on_cpu,
)

TINY = Size(
    rounds=2,
    turns=2,
    works=50,
    wakes=4,
    queued=200,
    births=3,
    workers=8,
    many=200,
    few=50,
    growth_rounds=2,
    steps=100,
    explored=20,
    probes=3,
    levels=(0, 3),
    ordered=8,
    again=5,
    gil_probes=1,
    busy_probes=1,
)

# ------------------------------------------------------------------------------------------------------- statistics


def test_the_interval_of_equal_values_is_that_value() -> None:
    assert bootstrap([3.0] * 9) == (3.0, 3.0)


def test_the_interval_of_one_value_is_that_value() -> None:
    assert bootstrap([4.5]) == (4.5, 4.5)


def test_the_interval_holds_the_median_and_lies_within_the_values() -> None:
    values = [float(number) for number in range(1, 22)]
    low, high = bootstrap(values)
    # The exact interval from the binomial distribution, 95 % for n = 21, runs from the 6th to the 16th value.
    assert (low, high) == (pytest.approx(6, abs=1), pytest.approx(16, abs=1))


def test_the_interval_holds_the_true_median_about_19_times_in_20() -> None:
    chance = random.Random(1)
    hits = 0
    for _ in range(100):
        low, high = bootstrap([chance.gauss(5, 1) for _ in range(15)])
        hits += low <= 5 <= high
    assert 85 <= hits <= 100


def test_no_values_have_no_interval() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        bootstrap([])


@pytest.mark.parametrize(
    ("values", "mean"),
    [([1.0, 2.0, 3.0, 100.0], 2.5), ([7.0], 7.0), ([100.0, -50.0, 1.0, 3.0, 2.0, 4.0, 2.0, 2.0], 2.25)],
)
def test_the_middle_mean_leaves_a_quarter_away_on_each_side(values: list[float], mean: float) -> None:
    assert middle_mean(values) == mean


@pytest.mark.parametrize(("part", "value"), [(50, 50), (99, 99), (100, 100), (0.5, 1), (10, 10)])
def test_percentiles_of_1_to_100(part: float, value: int) -> None:
    values = list(range(1, 101))
    random.Random(3).shuffle(values)
    assert percentile([float(one) for one in values], part) == value


@pytest.mark.parametrize(("values", "part"), [([], 50), ([1.0], 0), ([1.0], 101)])
def test_a_percentile_that_does_not_exist_is_refused(values: list[float], part: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, part)


# ----------------------------------------------------------------------------------------------------------- rounds


def contestants(calls: list[str]) -> dict[str, Callable[[], float]]:
    def one(name: str) -> Callable[[], float]:
        def measure() -> float:
            calls.append(name)
            return float(len(calls))

        return measure

    return {name: one(name) for name in "abc"}


def test_contestants_take_turns_and_the_order_rotates() -> None:
    calls: list[str] = []
    paired(4, contestants(calls))
    assert "".join(calls) == "abc" + "abc" + "bca" + "cab" + "abc"


def test_the_warm_up_does_not_count_and_a_round_stays_together() -> None:
    samples = paired(2, contestants([]))
    assert samples == {"a": [4, 9], "b": [5, 7], "c": [6, 8]}


def test_a_round_is_worth_the_median_of_its_turns() -> None:
    calls: list[str] = []
    samples = paired(1, contestants(calls), turns=3)
    assert "".join(calls) == "abc" + "abc" + "bca" + "cab"
    assert samples == {"a": [9], "b": [7], "c": [8]}


@pytest.mark.parametrize(("rounds", "turns"), [(0, 1), (1, 0)])
def test_no_rounds_and_no_turns_are_refused(rounds: int, turns: int) -> None:
    with pytest.raises(ValueError, match=f"rounds={rounds}, turns={turns}"):
        paired(rounds, contestants([]), turns)


# --------------------------------------------------------------------------------------------------------- verdicts


def comparison(ours: list[float], theirs: list[float], **more: Any) -> Comparison:
    return Comparison("x", "A thing", "s", {"ours": ours, "theirs": theirs}, over="ours", under="theirs", **more)


def test_a_clear_difference_has_a_winner_either_way() -> None:
    noise = [1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 0.98, 1.0, 1.0]
    assert comparison([2 * value for value in noise], noise).winner == "theirs"
    assert comparison([value / 2 for value in noise], noise).winner == "ours"
    assert "theirs costs less" in comparison([2 * value for value in noise], noise).sentence()


@pytest.mark.parametrize("seed", range(5))
def test_nobody_wins_inside_the_noise(seed: int) -> None:
    chance = random.Random(seed)
    ours, theirs = ([chance.lognormvariate(0, 0.4) for _ in range(15)] for _ in range(2))
    found = comparison(ours, theirs)
    assert found.winner is None
    assert found.sentence().endswith("no difference beyond the noise.")


def test_a_disturbed_round_makes_no_winner() -> None:
    # A median far from 1, but rounds on both sides of it.
    assert comparison([1.5, 1.5, 0.5, 1.5, 0.6, 0.4, 1.5], [1.0] * 7).winner is None


def test_two_alike_are_called_different_at_most_once_in_ten_times() -> None:
    chance = random.Random(11)
    named = 0
    for _ in range(100):
        ours, theirs = ([chance.gauss(1, 0.05) for _ in range(12)] for _ in range(2))
        named += comparison(ours, theirs).winner is not None
    assert named <= 10


def test_a_sure_but_tiny_difference_is_a_draw() -> None:
    assert comparison([1 + DRAW / 2] * 9, [1.0] * 9).winner is None
    assert comparison([1 + DRAW * 2] * 9, [1.0] * 9).winner == "theirs"


def test_a_handful_of_rounds_makes_no_winner() -> None:
    assert comparison([9.0] * (FEWEST - 1), [1.0] * (FEWEST - 1)).winner is None
    assert comparison([9.0] * FEWEST, [1.0] * FEWEST).winner == "theirs"


def test_a_comparison_needs_both_of_every_round() -> None:
    with pytest.raises(ValueError, match="both 'ours' and 'theirs'"):
        comparison([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="both 'ours' and 'theirs'"):
        comparison([], [])


def test_the_sentence_is_computed_from_the_samples() -> None:
    said = comparison([3e-6] * 6, [1e-6] * 6, remark="Seen too").sentence()
    assert said == "A thing: ours 3 µs, theirs 1 µs, median ratio 3 (3 to 3, 6 rounds): theirs costs less. Seen too."


@pytest.mark.parametrize(
    ("target", "ratios", "met"),
    [
        (Target(at_least=10, no_round_below=7), [7.0, 10.0, 12.0], True),
        (Target(at_least=10, no_round_below=7), [6.9, 10.0, 12.0], False),
        (Target(at_least=10, no_round_below=7), [7.0, 9.9, 12.0], False),
        (Target(at_most=0.9), [0.5, 0.9, 3.0], True),
        (Target(at_most=0.9), [0.5, 0.91, 3.0], False),
    ],
)
def test_targets(target: Target, ratios: list[float], met: bool) -> None:
    assert target.met(ratios) is met


def test_the_worst_round_is_the_one_farthest_from_the_target() -> None:
    high = comparison([8.0, 12.0], [1.0, 1.0], target=Target(at_least=10, no_round_below=7)).as_json()
    low = comparison([0.5, 0.95], [1.0, 1.0], target=Target(at_most=0.9)).as_json()
    assert (high["worst"], high["met"], high["target"]) == (8.0, True, "at least 10, no round below 7")
    assert (low["worst"], low["met"], low["target"]) == (0.95, True, "at most 0.9")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (7.1e-7, "s", "710 ns"),
        (1.25e-5, "s", "12.5 µs"),
        (0.25, "s", "250 ms"),
        (3, "s", "3 s"),
        (0.9999, "s", "1 s"),
        (9.999e-7, "s", "1 µs"),
        (1769, "B", "1,769 B"),
    ],
)
def test_quantities_are_written_as_people_write_them(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


# ------------------------------------------------------------------------------------------------- the measurements


def test_collections_are_counted() -> None:
    counted: list[int] = []
    with collections_counted(counted):
        gc.collect()
        gc.collect()
    assert counted == [2]


@pytest.mark.threads
def test_queueing_gives_the_garbage_collector_nothing_to_do_and_submitting_does() -> None:
    ours: list[int] = []
    theirs: list[int] = []
    worker_cost(5_000, ours)
    pool_cost(5_000, theirs)
    assert ours == [0]
    assert theirs[0] > 0


@pytest.mark.threads
def test_every_sender_is_woken_as_often_as_asked() -> None:
    started = Started()
    wake = started.by(lambda: threading.Thread(target=started).start())
    taken = wake_ups(3, {"a": wake, "b": wake}, lambda: 0)
    assert {name: len(seconds) for name, seconds in taken.items()} == {"a": 3, "b": 3}
    assert min(taken["a"] + taken["b"]) > 0


@pytest.mark.threads
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_says_a_sentence_and_leaves_no_thread(name: str) -> None:
    before = set(threading.enumerate())
    results = EXPERIMENTS[name](TINY)
    # The threads that carry tasks of the model are pooled: they wait for the next search.
    assert {thread for thread in threading.enumerate() if thread.name != "kwlab-model"} <= before
    for result in results:
        described = result.as_json()
        assert json.loads(json.dumps(described)) == described
        assert described["name"] == result.name
        assert described["sentence"] == result.sentence()
        assert described["winner"] is None or described["winner"] in described["samples"]


@pytest.mark.threads
def test_throughput_is_measured_with_all_in_the_same_rounds() -> None:
    pool, floor, loop, *_ = EXPERIMENTS["throughput"](TINY)
    assert isinstance(pool, Comparison)
    assert isinstance(loop, Comparison)
    assert loop.samples[WORKER] == pool.samples[WORKER]
    assert isinstance(floor, Comparison)
    assert set(pool.samples) == {POOL, WORKER}
    assert set(floor.samples) == {WORKER, FLOOR}
    assert pool.samples[WORKER] == floor.samples[WORKER]
    assert len(pool.ratios) == len(floor.ratios) == TINY.rounds


@pytest.mark.threads
def test_a_queued_work_weighs_an_eighth_of_a_pool_item_at_most() -> None:
    (found,) = EXPERIMENTS["memory"](replace(TINY, queued=1_000))
    assert isinstance(found, Comparison)
    # Two slotted objects; anything below their size would mean that they were not counted.
    assert 100 < found.samples[WORKER][0] < 250
    assert found.target is not None
    assert found.target.met(found.ratios)


@pytest.mark.threads
def test_a_pinned_worker_is_seen_on_its_cpu_alone() -> None:
    (found,) = EXPERIMENTS["pinning"](TINY)
    assert isinstance(found, Observation)
    assert found.met
    assert found.details["ran_on"] == [max(allowed_cpus())]


@pytest.mark.threads
def test_a_worker_that_is_not_pinned_does_not_pass_as_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    if len(allowed_cpus()) < 2:
        pytest.skip("one CPU: everything is pinned")
    monkeypatch.setattr(
        bench_threads,
        "kthread_run_worker_on_cpu",
        lambda cpu, flags, name: bench_threads.kthread_run_worker(flags, name, cpu),
    )
    (found,) = EXPERIMENTS["pinning"](TINY)
    assert isinstance(found, Observation)
    assert not found.met


@pytest.mark.threads
def test_works_that_run_elsewhere_do_not_pass_as_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    cpus = sorted(allowed_cpus())
    if len(cpus) < 2:
        pytest.skip("one CPU: nothing runs elsewhere")

    def moves_about(cpu: int, flags: int, name: str) -> KthreadWorker:
        worker = kthread_run_worker_on_cpu(cpu, flags, name)
        assert worker.task is not None
        pid = worker.task.pid
        flee = DEFINE_KTHREAD_WORK(lambda work: os.sched_setaffinity(pid, {cpus[0]}))
        kthread_queue_work(worker, flee)
        kthread_flush_work(flee)
        return worker

    monkeypatch.setattr(bench_threads, "kthread_run_worker_on_cpu", moves_about)
    (found,) = EXPERIMENTS["pinning"](TINY)
    assert isinstance(found, Observation)
    assert not found.met
    assert found.details["ran_on"] == [cpus[0]]


@pytest.mark.threads
def test_a_worker_that_does_not_run_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_threads, "_note", lambda ran, number, work: None)
    (found,) = EXPERIMENTS["life"](TINY)
    assert isinstance(found, Observation)
    assert not found.met
    assert found.details["at_once"] == 0


def test_a_worker_that_costs_more_the_more_there_are_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_threads, "_at_once", lambda count: 1e-6 * count)
    (found,) = EXPERIMENTS["creation"](replace(TINY, workers=100))
    assert isinstance(found, Comparison)
    assert found.ratios == pytest.approx([10, 10])
    assert not found.as_json()["met"]
    monkeypatch.setattr(bench_threads, "_at_once", lambda count: 1e-6)
    (found,) = EXPERIMENTS["creation"](replace(TINY, workers=100))
    assert found.as_json()["met"]


@pytest.mark.threads
def test_as_many_workers_live_at_once_as_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    living: set[KthreadWorker] = set()
    at_end: list[int] = []
    create, destroy = bench_threads.kthread_run_worker, bench_threads.kthread_destroy_worker

    def created(*asked: Any) -> KthreadWorker:
        worker = create(*asked)
        living.add(worker)
        return worker

    def destroyed(worker: KthreadWorker) -> None:
        assert worker.task is not None
        at_end.append(len(living))
        destroy(worker)
        living.remove(worker)

    monkeypatch.setattr(bench_threads, "kthread_run_worker", created)
    monkeypatch.setattr(bench_threads, "kthread_destroy_worker", destroyed)
    EXPERIMENTS["creation"](replace(TINY, workers=20, growth_rounds=1))
    many, few = list(range(20, 0, -1)), [2, 1] * 10
    assert at_end == 2 * (many + few)  # a warm-up and a round


def test_what_cannot_be_measured_has_no_winner_and_no_verdict() -> None:
    told = not_measured("x", "A thing", "no such thing").as_json()
    assert told["sentence"] == "A thing: not measured: no such thing."
    assert (told["winner"], told["target"], told["met"]) == (None, None, None)


def test_full_runs_measure_what_is_promised() -> None:
    assert FULL.rounds >= 12
    assert (FULL.workers, FULL.many, FULL.few) == (1_000, 1_000_000, 10_000)
    assert QUICK.rounds >= 12


# ------------------------------------------------------------------------------------------------------ the command


def test_the_machine_is_described() -> None:
    described = machine()
    assert {"cpus", "governor", "load", "python", "gil", "switch_interval", "system"} <= set(described)
    assert described["cpus"] == len(allowed_cpus())
    assert json.loads(json.dumps(described)) == described


@pytest.mark.threads
def test_json_holds_the_machine_and_every_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "QUICK", TINY)
    done = CliRunner().invoke(build("bench"), ["bench", "--quick", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert set(told) == {"machine", "quick", "results"}
    promised = {
        "throughput",
        "floor",
        "latency",
        "memory",
        "life",
        "creation",
        "growth",
        "pinning",
        "neighbour-0",
        "neighbour-3",
        "order",
        "coalescing",
        "again",
        "parallel",
        "busy-fifo",
        "gil-held",
        "gil-intervals",
        "cpu-hash",
        "disk-read",
        "disk-fsync",
        "private-pinned",
    }
    assert promised <= set(told["results"])
    assert {result["experiment"] for result in told["results"].values()} == set(OF_WORKERS)
    for name, result in told["results"].items():
        assert {"subject", "sentence", "winner", "target", "met", "details"} <= set(result)
        assert result["name"] == name
        if "samples" in result:
            assert {"unit", "medians", "ratio", "ratios", "median", "interval", "worst"} <= set(result)


@pytest.mark.threads
def test_people_get_sentences_and_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "QUICK", TINY)
    done = CliRunner().invoke(build("bench"), ["bench", "pinning", "--quick"])
    assert done.exit_code == 0, done.output
    said = " ".join(done.stdout.split())
    assert "A worker bound to CPU" in said
    assert "kept." in said
    assert "throughput" not in said


def test_an_experiment_that_does_not_exist_is_refused_by_name() -> None:
    done = CliRunner().invoke(build("bench"), ["bench", "latenzy"])
    assert done.exit_code == 2
    said = " ".join(done.output.replace("│", " ").split())
    assert "no experiment 'latenzy'" in said
    assert "throughput, latency" in said
