"""The experiments on sharing count right, and notice when the contestants do not behave as they say."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from kwlab.bench import QUICK, Comparison, Observation, order, parallel
from kwlab.bench.contestants import POOL, WORKER
from kwlab.bench.neighbour import SHARED, neighbour, noise
from kwlab.bench.order import coalescing, overtaken
from kwlab.bench.recording import recorded, recorded_comparison, recorded_results, recorded_sentence
from kwlab.draw.waits import waits_picture
from kwlab.widgets.noise import NoiseSlider
from kwlab.worker import DEFINE_KTHREAD_WORK, kthread_queue_work

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
    silent, loud = neighbour(TINY)
    for found, level in ((silent, 0), (loud, 3)):
        assert isinstance(found, Comparison)
        assert found.details["others"] == level
        assert {name: len(values) for name, values in found.samples.items()} == {WORKER: 2, SHARED: 2}
        for waits in found.details["waits"].values():
            assert waits == sorted(waits)
            assert len(waits) == 100
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


# --------------------------------------------------------------------------------------------------- the recording


def test_what_was_said_of_the_recording_follows_from_its_samples() -> None:
    compared = [name for name in recorded_results() if "samples" in recorded()["results"][name]]
    assert {"latency", "throughput", "memory", "again", "parallel"} <= set(compared)
    for name in compared:
        told = recorded()["results"][name]
        assert recorded_comparison(name).sentence() == told["sentence"]
        assert recorded_comparison(name).winner == told["winner"]


def test_the_recording_is_a_full_one_and_says_of_which_machine() -> None:
    assert recorded()["quick"] is False
    assert {"cpus", "load", "python", "system"} <= set(recorded()["machine"])
    assert len(recorded_results("neighbour-")) == 5


def test_a_comparison_that_is_not_recorded_is_refused_by_name() -> None:
    with pytest.raises(KeyError, match=r"no comparison 'order'.*latency"):
        recorded_comparison("order")
    with pytest.raises(KeyError, match=r"no result 'nothing'.*latency"):
        recorded_sentence("nothing")
    assert recorded_sentence("order") == recorded()["results"]["order"]["sentence"]


# ------------------------------------------------------------------------------------------ the picture and the slider


def test_the_picture_says_its_percentiles_and_tells_lines_apart_without_colour() -> None:
    drawn = waits_picture({"quick": [1e-5] * 100, "slow": [1e-3] * 98 + [2e-3] * 2})
    assert "quick: half within 10 µs, 99 % within 10 µs" in drawn.label
    assert "slow: half within 1,000 µs, 99 % within 2,000 µs" in drawn.label
    assert drawn.svg.count('stroke-dasharray="7 4"') == 2  # the line, and its entry in the legend
    with pytest.raises(ValueError, match="'short': 3"):
        waits_picture({"short": [1.0] * 3})


def test_the_slider_shows_every_recorded_level_and_its_own_conclusion() -> None:
    slider = NoiseSlider()
    levels = list(slider.slider.options)
    assert levels == sorted(recorded_comparison(name).details["others"] for name in recorded_results("neighbour-"))
    seen = set()
    for level in levels:
        slider.slider.value = level
        assert slider.sentence() == recorded_sentence(f"neighbour-{level}")
        assert f"beside {level} blocking works" in slider.children[2].value
        seen.add(slider.children[1].value)
    assert len(seen) == len(levels)
