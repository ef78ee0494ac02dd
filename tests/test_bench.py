"""The figures of `kwlab bench`: statistics against known answers, and every experiment at a tiny size."""

import json

import pytest

from kwlab.bench import EXPERIMENTS, Figure, Size, bootstrap
from kwlab.cli import main

TINY = Size(rounds=3, works=200, wakes=5, queued=200, workers=5, many=2_000)


def test_the_interval_of_equal_values_is_the_value() -> None:
    assert bootstrap([3.0] * 9) == (3.0, 3.0)


def test_the_interval_encloses_the_median_and_repeats() -> None:
    values = [1.0, 2.0, 3.0, 4.0, 100.0]
    low, high = bootstrap(values)
    assert 1.0 <= low <= 3.0 <= high <= 100.0
    assert bootstrap(values) == (low, high)
    with pytest.raises(ValueError, match="no values"):
        bootstrap([])


@pytest.mark.parametrize(
    ("ratios", "higher_is_better", "winner"),
    [
        ([9.0, 10.0, 11.0], True, "worker"),
        ([9.0, 10.0, 11.0], False, "other"),
        ([0.4, 0.5, 0.6], False, "worker"),
        ([0.8, 1.0, 1.3], True, None),
        ([0.5, 2.0, 0.6, 1.9, 1.1], False, None),
    ],
)
def test_no_winner_inside_the_noise(ratios: list[float], higher_is_better: bool, winner: str | None) -> None:
    figure = Figure("x", "worker to other", ratios, higher_is_better)
    assert figure.winner == winner
    assert ("no difference" in figure.sentence()) == (winner is None)


@pytest.mark.threads
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_runs(name: str) -> None:
    figure = EXPERIMENTS[name](TINY)
    assert figure.name == name
    assert figure.ratios
    assert all(ratio > 0 for ratio in figure.ratios)
    assert json.loads(json.dumps(figure.as_json()))["sentence"] == figure.sentence()


@pytest.mark.threads
def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "--quick", "--json", "pinning"])
    assert ended.value.code == 0
    report = json.loads(capsys.readouterr().out)
    assert report["figures"]["pinning"]["details"]["really_pinned"] is True
    assert report["machine"]["cpus"] >= 1


def test_an_unknown_experiment_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "speed"])
    assert ended.value.code == 2
