"""The contestants are who they say they are, and what one machine does not have is said in one line."""

import os
import shutil
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kwlab.bench import QUICK, Comparison, Observation, condvar, disk, gil, kernel, private
from kwlab.bench.busy import _Done, busy_processes
from kwlab.bench.condvar import CONDVAR, NoCompiler, condvar_worker
from kwlab.bench.contestants import WORKER, event_loop
from kwlab.bench.cpu import _by_pool, _by_worker, cpu, migrations
from kwlab.bench.gil import SHORTER, computing, in_hashlib, in_python, switching
from kwlab.bench.kernel import KERNEL, kernel_delays
from kwlab.bench.latency import Started, latency
from kwlab.bench.private import FIFO, NICE, PINNED, compared_kinds, private_workers
from kwlab.bench.statistics import spread
from kwlab.bench.throughput import throughput
from kwlab.host.procfs import proc_thread
from kwlab.host.tracefs import TracefsError
from kwlab.runtime.linux import allowed_cpus

TINY = replace(
    QUICK, rounds=2, works=50, wakes=3, probes=3, gil_probes=1, busy_probes=1, queued=50, births=2, workers=2
)
needs_compiler = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    condvar._library.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    yield tmp_path
    condvar._library.cache_clear()


# ---------------------------------------------------------------------------------------------------- the worker in C


@needs_compiler
@pytest.mark.threads
def test_the_worker_in_c_runs_in_a_thread_of_its_own_and_ends_it() -> None:
    def threads() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    before = threads()
    with condvar_worker() as worker:
        assert threads() == before + 1
        assert worker.wake() > 0
        assert worker.run(1_000) > 0
    assert threads() == before


@needs_compiler
@pytest.mark.threads
def test_the_worker_in_c_gives_the_gil_away() -> None:
    """While C works, Python runs: a thread that needs the GIL gets on."""
    got_on = threading.Event()
    with condvar_worker() as worker, switching(60):  # nobody is asked for the GIL: it must be given
        thread = threading.Thread(target=got_on.set)
        thread.start()
        while not got_on.is_set():
            worker.run(1_000)
        thread.join()


@pytest.mark.threads
def test_without_a_compiler_the_rest_is_measured_and_one_line_says_so(no_compiler: Path) -> None:
    for experiment, name in ((latency, "latency-c"), (throughput, "throughput-c")):
        *measured, missing = experiment(TINY)
        assert all(isinstance(one, Comparison) and CONDVAR not in one.samples for one in measured)
        assert missing.name == name
        assert missing.sentence().endswith("not measured: no C compiler here (cc).")


@pytest.mark.parametrize(
    ("script", "said"),
    [("echo it is broken >&2; exit 1", "cc failed: it is broken"), ("exit 1", "cc failed: no message")],
)
def test_a_compiler_that_fails_is_named_with_its_last_line(no_compiler: Path, script: str, said: str) -> None:
    (no_compiler / "cc").write_text(f"#!/bin/sh\n{script}\n")
    (no_compiler / "cc").chmod(0o755)
    with pytest.raises(NoCompiler, match=said), condvar_worker():
        pass


# -------------------------------------------------------------------------------------------------- the kernel's worker


def test_a_kernel_that_cannot_be_traced_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(works: int, scheduler: bool) -> str:
        raise TracefsError("tracing the kernel needs root: start it with sudo, or look at a recording")

    monkeypatch.setattr(kernel, "capture_live", refuse)
    (found,) = kernel.kernel(TINY)
    assert found.sentence() == (
        "Wake-up of an idle worker: not measured: tracing the kernel needs root: start it with sudo, or look at a "
        "recording."
    )


TRACE = """\
          python-1     [000] .....   10.000100: sched_kthread_work_queue_work: work struct=00000000aa \
function=wait_rcu_exp_gp worker=00000000bb
 rcu_exp_gp_kthr-2     [001] .....   10.000130: sched_kthread_work_execute_start: work struct 00000000aa: \
function wait_rcu_exp_gp
 rcu_exp_gp_kthr-2     [001] .....   10.000150: sched_kthread_work_execute_end: work struct 00000000aa: \
function wait_rcu_exp_gp
"""


def test_the_kernels_delay_is_from_queueing_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "capture_live", lambda works, scheduler: TRACE)
    assert kernel_delays(1) == [pytest.approx(30e-6, abs=1e-9)]
    monkeypatch.setattr(kernel, "capture_live", lambda works, scheduler: "")
    with pytest.raises(TracefsError, match="no work of rcu_exp_gp_kthread_worker"):
        kernel_delays(1)


@needs_root
@pytest.mark.root
@pytest.mark.threads
def test_the_real_kernel_is_measured_in_turns_with_ours() -> None:
    (found,) = kernel.kernel(TINY)
    if isinstance(found, Observation):
        pytest.skip(found.seen)
    assert {name: len(values) for name, values in found.samples.items()} == {WORKER: 2, KERNEL: 2}
    assert all(value > 0 for values in found.samples.values() for value in values)


# --------------------------------------------------------------------------------------------- the private workers


@needs_root
@pytest.mark.root
@pytest.mark.threads
def test_every_kind_of_worker_is_what_it_is_called() -> None:
    with private_workers() as (workers, missing):
        assert missing == {}
        seen = {name: proc_thread(worker.task) for name, worker in workers.items()}
    cpus = tuple(sorted(allowed_cpus()))
    assert (seen[WORKER].policy, seen[WORKER].nice, seen[WORKER].cpus) == ("SCHED_OTHER", 0, cpus)
    assert seen[PINNED].cpus == (max(cpus),)
    assert (seen[NICE].policy, seen[NICE].nice) == ("SCHED_OTHER", -20)
    assert (seen[FIFO].policy, seen[FIFO].rt_priority) == ("SCHED_FIFO", 50)


@pytest.mark.threads
def test_what_needs_a_privilege_is_left_out_with_its_reason_and_no_thread_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(task: object) -> None:
        raise PermissionError(1, "SCHED_FIFO 50 needs CAP_SYS_NICE")

    monkeypatch.setattr(private, "sched_set_fifo", refuse)
    before = threading.active_count()
    with private_workers() as (workers, missing):
        assert FIFO not in workers
    assert threading.active_count() == before
    assert missing[FIFO] == "SCHED_FIFO 50 needs CAP_SYS_NICE"
    samples = {name: [1.0, 2.0] for name in (WORKER, PINNED, NICE)}
    fifo = compared_kinds("private", "A work", samples, missing)[-1]
    assert fifo.sentence() == "A work: not measured: SCHED_FIFO 50 needs CAP_SYS_NICE."


# ---------------------------------------------------------------------------------------------------- the neighbours


def test_busy_processes_compute_and_end() -> None:
    def children() -> set[str]:
        found = Path(f"/proc/self/task/{threading.get_native_id()}/children")
        return set(found.read_text().split()) if found.exists() else set()

    before = children()
    with busy_processes(2):
        ours = children() - before
        assert len(ours) == 2 or not Path("/proc").exists()
        for pid in ours:
            deadline = time.monotonic() + 30
            while int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11]) == 0:  # ticks of user time
                assert time.monotonic() < deadline, "it does not compute"
    assert children() == before


@pytest.mark.threads
@pytest.mark.parametrize("piece", [in_python, in_hashlib])
def test_the_computing_thread_computes_and_ends(piece) -> None:
    done = threading.Event()

    def noted() -> None:
        piece()
        done.set()

    before = threading.active_count()
    with computing(noted):
        assert done.wait(30)
    assert threading.active_count() == before


def test_the_switch_interval_is_given_back() -> None:
    before = sys.getswitchinterval()
    with switching(0.001):
        assert sys.getswitchinterval() == pytest.approx(0.001)
    assert sys.getswitchinterval() == before


@pytest.mark.threads
def test_the_shorter_interval_is_in_force_where_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    intervals: list[float] = []
    wake_ups = gil.wake_ups

    def noting(count, wakes, *more):
        intervals.append(sys.getswitchinterval())
        return wake_ups(count, wakes, *more)

    monkeypatch.setattr(gil, "wake_ups", noting)
    found = {one.name: one for one in gil.gil(TINY)}
    normal = sys.getswitchinterval()
    assert intervals == [pytest.approx(one) for one in (normal, normal, normal, gil.SHORT)] * TINY.rounds
    assert SHORTER in found["gil-interval"].samples
    assert found["gil-intervals"].details["interval"] == normal


@pytest.mark.threads
def test_the_clock_of_a_delayed_start_begins_when_it_is_due() -> None:
    started = Started()
    wake = started.by(lambda: threading.Thread(target=started).start(), after=0.05)
    begin = time.perf_counter()
    waited = wake()
    assert 0 < waited <= time.perf_counter() - begin - 0.05


def test_a_work_of_the_busy_machine_counts_when_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    done = _Done()
    monkeypatch.setattr("kwlab.bench.busy.hashlib.sha256", lambda data: seen.append("computed"))
    monkeypatch.setattr("kwlab.bench.latency.time.perf_counter", lambda: float(len(seen)))
    assert done.by(lambda: done(None))() == 1.0


# ------------------------------------------------------------------------------------------------- CPUs and the disk


@pytest.mark.threads
def test_every_piece_is_done_by_worker_and_pool_alike() -> None:
    from concurrent.futures import ThreadPoolExecutor

    ran: list[str] = []
    with private_workers() as (workers, _), ThreadPoolExecutor(2) as pool:
        assert _by_worker(workers[WORKER], lambda: ran.append("worker")) > 0
        assert _by_pool(pool, lambda: ran.append("pool")) > 0
    assert sorted(ran) == ["pool"] * 8 + ["worker"] * 8


@pytest.mark.threads
def test_a_migration_is_counted() -> None:
    cpus = sorted(allowed_cpus())
    with private_workers() as (workers, _):
        worker = workers[WORKER]
        before = migrations(worker)
        if len(cpus) < 2 or before is None:
            pytest.skip("one CPU, or a kernel without /proc/PID/sched")
        for cpu_number in (*cpus[:2], *cpus[:2]):
            os.sched_setaffinity(worker.task.pid, {cpu_number})
            _by_worker(worker, lambda: None)
        assert migrations(worker) >= before + 3


@pytest.mark.threads
def test_a_kernel_that_does_not_count_migrations_is_not_taken_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kwlab.bench.cpu.TASKS", Path("/nowhere"))
    found = {one.name: one for one in cpu(TINY)}
    assert "kthread worker unknown" in found["cpu-hash"].sentence()


@pytest.mark.threads
def test_the_disk_is_written_and_read_as_often_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, int]] = []

    class Noted(disk._Disk):
        def reads(self, descriptor):
            done.append(("reads", len(operations := super().reads(descriptor))))
            return operations

        def writes(self, descriptor):
            done.append(("writes", len(operations := super().writes(descriptor))))
            return operations

    synced: list[int] = []
    fsync = os.fsync
    monkeypatch.setattr(disk, "_Disk", Noted)
    monkeypatch.setattr(disk.os, "fsync", lambda descriptor: (synced.append(descriptor), fsync(descriptor)))
    read, written = disk.disk(TINY)
    turns = 2 * (TINY.rounds * disk.TURNS + 1)  # with the warm-up
    assert done.count(("writes", 16)) == turns
    assert len(synced) == 1 + 16 * turns
    assert isinstance(written, Comparison)
    assert isinstance(read, Observation) or done.count(("reads", 16)) == turns


def test_the_file_system_is_that_of_the_longest_and_last_mount(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("a / ext4 rw 0 0\nb /tmp tmpfs rw 0 0\nc /tmp btrfs rw 0 0\nd /tmpfoo xfs rw 0 0\n")
    monkeypatch.setattr(disk, "MOUNTS", mounts)
    assert disk.filesystem(Path("/tmp/x")) == "btrfs"
    assert disk.filesystem(Path("/tmpfoo/x")) == "xfs"
    assert disk.filesystem(Path("/var")) == "ext4"
    monkeypatch.setattr(disk, "MOUNTS", tmp_path / "none")
    assert disk.filesystem(Path("/var")) == "unknown file system"


@pytest.mark.threads
def test_a_file_system_without_direct_reads_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, flags: int) -> int:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(disk.os, "open", refuse)
    found = disk._compare(TINY, "disk-read", "read", "/x", os.O_RDONLY, "tmpfs")
    assert "not measured: tmpfs does not open a file so (Invalid argument)" in found.sentence()


# ------------------------------------------------------------------------------------------------------ the others


@pytest.mark.threads
def test_the_event_loop_runs_in_a_thread_of_its_own_and_ends() -> None:
    ran: list[int] = []
    done = threading.Event()
    with event_loop() as loop:
        loop.call_soon_threadsafe(lambda: (ran.append(threading.get_ident()), done.set()))
        assert done.wait(30)
    assert ran != [threading.get_ident()]
    assert loop.is_closed()


def test_the_spread_of_all_rounds_together() -> None:
    told = spread([[float(number)] for number in range(1000, 0, -1)])
    assert (told["values"], told["p50"], told["p99"], told["p99.9"]) == (1000, 500, 990, 999)
    assert told["percent"][:2] == [10, 20]
    assert len(told["percent"]) == 100
