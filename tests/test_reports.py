"""Warnings wait for whoever ends the API call, and never get in the way of anybody else."""

import threading
import warnings

import pytest

from kwlab.runtime import reports
from kwlab.worker import (
    DEFINE_KTHREAD_WORK,
    kthread_destroy_worker,
    kthread_flush_work,
    kthread_queue_work,
    kthread_run_worker,
)

pytestmark = pytest.mark.threads


def test_a_thread_that_is_no_task_yet_may_queue_and_flush_while_another_task_has_noted_a_warning() -> None:
    worker, work = kthread_run_worker(0, "noted"), DEFINE_KTHREAD_WORK(lambda work: None)
    somebody_elses = (object(), "somebody else's warning")
    kthread_queue_work(worker, work)
    kthread_flush_work(work)
    results: list[object] = []

    def foreign(call: object) -> None:
        try:
            results.append(call())  # type: ignore[operator]
        except BaseException as error:
            results.append(error)

    reports.noted.append(somebody_elses)
    worker.kept.append("kept for the next flush")
    try:
        with warnings.catch_warnings(record=True) as issued:
            warnings.simplefilter("always")
            for call in (lambda: kthread_flush_work(work), lambda: kthread_queue_work(worker, work)):
                thread = threading.Thread(target=foreign, args=(call,))
                thread.start()
                thread.join(10)
        assert results == [None, True]
        assert [str(warning.message) for warning in issued] == ["kept for the next flush"]
        assert reports.noted == [somebody_elses]
    finally:
        reports.noted.remove(somebody_elses)
        kthread_destroy_worker(worker)
