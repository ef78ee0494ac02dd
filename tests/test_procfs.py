"""What /proc says about a worker's thread is what was asked for."""

import os
import sys

import pytest

from kwlab import (
    kthread_bind,
    kthread_create_worker,
    kthread_destroy_worker,
    kthread_flush_worker,
    kthread_run_worker,
    sched_set_fifo_low,
    set_user_nice,
    wake_up_process,
)
from kwlab.host import procfs
from kwlab.host.procfs import ProcThread, proc_thread
from kwlab.worker import KthreadWorker

pytestmark = pytest.mark.threads
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")


@pytest.fixture
def worker():
    worker = kthread_run_worker(0, "a (very) long name/%u", 7)
    kthread_flush_worker(worker)
    yield worker
    kthread_destroy_worker(worker)


@linux
def test_an_idle_worker_sleeps_under_its_own_name(worker: KthreadWorker) -> None:
    seen = proc_thread(worker.task)
    assert seen == ProcThread(
        "a (very) long n",
        worker.task.pid,
        "S (sleeping)",
        tuple(sorted(os.sched_getaffinity(0))),
        "SCHED_OTHER",
        os.nice(0),
        0,
        seen.sleeps,
    )
    assert seen.sleeps > 0


@linux
def test_what_is_printed_is_the_same_on_every_machine(worker: KthreadWorker) -> None:
    set_user_nice(worker.task, 5)
    cpus = len(os.sched_getaffinity(0))
    assert str(proc_thread(worker.task)).splitlines() == [
        "name      a (very) long n",
        "state     S (sleeping)",
        f"CPU mask  {cpus} CPU{'s' if cpus > 1 else ''}",
        "policy    SCHED_OTHER, nice 5",
    ]


@linux
def test_a_bound_worker_has_one_cpu() -> None:
    cpu = max(os.sched_getaffinity(0))
    worker = kthread_create_worker(0, "bound")
    kthread_bind(worker.task, cpu)
    wake_up_process(worker.task)
    assert proc_thread(worker.task).cpus == (cpu,)
    kthread_destroy_worker(worker)


@linux
@pytest.mark.root
def test_a_real_time_worker(worker: KthreadWorker) -> None:
    sched_set_fifo_low(worker.task)
    seen = proc_thread(worker.task)
    assert (seen.policy, seen.rt_priority) == ("SCHED_FIFO", 1)
    assert str(seen).endswith("SCHED_FIFO, nice 0, priority 1")


@linux
def test_a_thread_that_has_ended_is_named() -> None:
    worker = kthread_run_worker(0, "gone")
    task = worker.task
    kthread_destroy_worker(worker)
    task.pid = 2**22 + 1  # a number that no thread can have: the old one may belong to a new thread
    with pytest.raises(ProcessLookupError, match="thread 'gone' has ended"):
        proc_thread(task)


def test_without_proc_the_recording_is_shown_and_says_so(
    worker: KthreadWorker, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procfs, "TASKS", tmp_path / "none")
    seen = proc_thread(worker.task)
    assert seen.recorded
    assert str(seen).startswith("no /proc on this machine; recorded on Linux 6.18:\nname      a (very) long n\n")
