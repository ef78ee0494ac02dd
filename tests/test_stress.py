"""`stress`: many runs on real threads in a child process, where what hangs or fails harms nobody."""

import threading

import pytest

from kwlab.explore.stress import Stress, stress

pytestmark = pytest.mark.threads


def test_runs_that_end_are_counted() -> None:
    assert stress(lambda: None, 500) == Stress(runs=500, hung=0, failed=0)


def test_a_run_that_hangs_is_counted_and_the_others_go_on() -> None:
    threads_before = threading.active_count()
    assert stress(lambda: threading.Event().wait(), 3, patience=0.2) == Stress(runs=3, hung=3, failed=0)
    assert threading.active_count() == threads_before


def test_a_run_that_raises_is_counted() -> None:
    assert stress(lambda: 1 / 0, 50) == Stress(runs=50, hung=0, failed=50)


def test_the_limit_ends_it_and_the_result_says_how_far_it_came() -> None:
    result = stress(lambda: threading.Event().wait(), 1000, patience=30, seconds=0.3)
    assert result == Stress(runs=0, hung=0, failed=0)


def test_nothing_is_no_number_of_runs() -> None:
    with pytest.raises(ValueError, match=r"runs=0.*at least one"):
        stress(lambda: None, 0)
