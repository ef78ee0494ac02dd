"""The kernel that runs here: its workers in /proc, its trace, real works. What a machine lacks is skipped by name."""

import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from kwlab import Worker, complete, init_completion, wait_for_completion
from kwlab.host import livelab, tracefs
from kwlab.host.kworkers import find_workers, own_workers, process_threads, what_it_runs
from kwlab.host.layout import Field, Layout
from kwlab.host.livelab import RCU_EXPEDITED, RCU_WORKER, capture_live, expedited_rcu, membarrier, tmpfs_round
from kwlab.host.mirror import MirrorError, mirror, mirror_of
from kwlab.host.structs import STRUCTS, kernel_struct
from kwlab.host.threadfiles import ThreadFiles, recorded_thread, recorded_threads
from kwlab.host.tracefs import TracefsError, trace_instance
from kwlab.trace.analysis import analyse
from kwlab.trace.reader import TraceReader

LINUX = sys.platform == "linux"
ROOT = LINUX and os.geteuid() == 0
HAS_WORKER = ROOT and any(row.name == RCU_WORKER for row in find_workers().workers)
live = pytest.mark.skipif(not HAS_WORKER, reason=f"needs root and a kernel with a thread {RCU_WORKER}")
linux = pytest.mark.skipif(not LINUX, reason="needs Linux")


def mounts() -> str:
    return Path("/proc/mounts").read_text()


@pytest.fixture
def left_as_it_was():
    """RCU's switch, mounts and trace instances are after the test what they were before."""

    def state() -> tuple[object, ...]:
        folders = [
            path for kind in ("tracefs", "tmpfs") for path in Path(tempfile.gettempdir()).glob(f"kwlab-{kind}-*")
        ]
        return RCU_EXPEDITED.read_text(), mounts(), folders

    # One test run at a time: what another changes meanwhile would look like ours.
    with (Path(tempfile.gettempdir()) / "test-kwlab.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = state()
        yield
        assert state() == before
        with tracefs.tracefs() as root:
            assert [path.name for path in (root / "instances").glob("kwlab-*")] == []


@live
@pytest.mark.root
@pytest.mark.usefixtures("left_as_it_was")
def test_two_that_want_the_switch_of_rcu_wait_for_each_other() -> None:
    script = (
        "from kwlab.host.livelab import expedited_rcu\nwith expedited_rcu():\n    print('in', flush=True)\nprint('out')"
    )
    with expedited_rcu():
        other = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        files, until = ThreadFiles(Path("/proc") / str(other.pid)), time.monotonic() + 60
        while "lock" not in files.wchan and time.monotonic() < until:
            time.sleep(0.01)
        assert other.poll() is None
        assert "lock" in files.wchan
    assert other.communicate(timeout=60)[0] == "in\nout\n"


# --------------------------------------------------------------------------------------------- the files of one thread


def test_the_recorded_workers_are_what_they_were_made_as() -> None:
    assert set(recorded_threads()) == {
        "plain", "bound", "longname", "fifo", "fifolow", "nice", "freezable", "selfflush",
    }  # fmt: skip
    plain, bound = recorded_thread("plain"), recorded_thread("bound")
    assert (plain.comm, plain.wchan, plain.status.state) == ("kwo_plain/7", "kthread_worker_fn", "S (sleeping)")
    assert [str(frame) for frame in plain.stack] == ["kthread_worker_fn", "kthread", "ret_from_fork"]
    assert (plain.stack[0].offset, plain.stack[0].size) == (0x11E, 0x240)
    assert plain.status.lines["SigIgn"] == "f" * 16
    assert (plain.stat.is_kthread, plain.stat.is_bound) == (True, False)
    assert (bound.stat.is_bound, bound.status.cpus) == (True, (1,))
    assert recorded_thread("longname").comm == "kwo_a_very_long_worker_name/42"
    assert recorded_thread("longname").sched.name == "kwo_a_very_long"
    assert (recorded_thread("fifo").stat.policy, recorded_thread("fifo").stat.rt_priority) == ("SCHED_FIFO", 50)
    assert recorded_thread("fifolow").stat.rt_priority == 1
    assert recorded_thread("nice").stat.nice == -10
    assert bound.sched.values["prio"] == 120
    assert bound.sched.runtime == pytest.approx(0.182075)


def test_the_stuck_worker_shows_what_it_runs() -> None:
    stuck = recorded_thread("selfflush")
    assert (stuck.status.state, stuck.wchan) == ("D (disk sleep)", "kthread_flush_work")
    assert what_it_runs(stuck.stack) == "kw_fn [kwo]"
    assert what_it_runs(recorded_thread("plain").stack) == ""
    with pytest.raises(FileNotFoundError, match=r"selfflush, recorded on Linux 6\.1\.192: sched was not recorded"):
        _ = stuck.sched


def test_a_recorded_thread_that_there_is_not_is_named() -> None:
    with pytest.raises(ValueError, match="no recorded thread 'x': there are bound, "):
        recorded_thread("x")


def fake_proc(folder: Path, threads: dict[int, str], readable: bool = True) -> Path:
    """A /proc with recorded threads in it; without `readable` as a user sees it who is not root."""
    (folder / "self").mkdir(parents=True)
    for pid, name in threads.items():
        source = recorded_thread(name).source
        assert isinstance(source, dict)
        texts = {"stat": recorded_thread("plain").read("stat"), **source}
        (folder / str(pid)).mkdir()
        for file, text in texts.items():
            if not readable and file == "stack":
                continue
            hidden = not readable and file == "wchan"
            (folder / str(pid) / file).write_text("0" if hidden else text)
    return folder


def test_workers_are_found_by_where_they_sleep_and_busy_ones_by_their_stack(tmp_path: Path) -> None:
    proc = fake_proc(tmp_path, {10: "plain", 7: "selfflush", 30: "bound"})
    (proc / "40").mkdir()  # a process: no kernel thread
    (proc / "40" / "stat").write_text("40 (a b) c) S 1 40 40 0 -1 4194560 " + "0 " * 45)
    seen = find_workers(proc)
    assert [(row.pid, row.found_by, row.runs) for row in seen.workers] == [
        (7, "stack", "kw_fn [kwo]"),
        (10, "wchan", ""),
        (30, "wchan", ""),
    ]
    assert seen.workers[2].bound
    assert seen.workers[2].cpus == (1,)


def test_without_root_workers_are_known_by_name_and_a_note_says_so(tmp_path: Path) -> None:
    proc = fake_proc(tmp_path, {10: "plain", 11: "bound"}, readable=False)
    (proc / "11" / "comm").write_text("rcu_exp_gp_kthread_worker\n")
    seen = find_workers(proc)
    assert [(row.pid, row.found_by, row.runs) for row in seen.workers] == [(11, "name", "?")]
    assert "without root" in seen.notes[0]
    with pytest.raises(PermissionError, match="says 0 of a thread that sleeps: it needs root"):
        _ = ThreadFiles(proc / "11").wchan


def test_where_there_is_no_proc_a_note_says_so(tmp_path: Path) -> None:
    seen = find_workers(tmp_path / "proc")
    assert seen.workers == ()
    assert "no " in seen.notes[0]
    with pytest.raises(ProcessLookupError, match="there is no process 7"):
        process_threads(7, tmp_path)
    with pytest.raises(ProcessLookupError, match="the thread has ended"):
        ThreadFiles(tmp_path / "9").read("stat")


@linux
@pytest.mark.threads
def test_kwlabs_own_workers_are_seen_with_what_they_run() -> None:
    started, gate = init_completion(), init_completion()

    def slow() -> None:
        complete(started)
        wait_for_completion(gate)

    with Worker("psbusy") as busy, Worker("psidle") as idle:
        busy.queue(slow)
        wait_for_completion(started)
        rows = {row.name: row for row in own_workers().workers}
        assert rows["psbusy"].runs == "slow"
        assert rows["psidle"].runs == ""
        assert rows["psidle"].pid == idle.worker.task.pid
        names = {row.name for row in process_threads(os.getpid()).workers}
        assert {"psbusy", "psidle"} <= names
        complete(gate)
    assert not {"psbusy", "psidle"} & {row.name for row in own_workers().workers}


@live
@pytest.mark.root
def test_this_kernels_workers_are_found() -> None:
    rows = {row.name: row for row in find_workers().workers}
    assert rows[RCU_WORKER].found_by in ("wchan", "stack")
    assert rows[RCU_WORKER].sleeps > 0
    files = ThreadFiles(Path("/proc") / str(rows[RCU_WORKER].pid))
    assert "kthread_worker_fn" in [frame.function for frame in files.stack]
    assert files.sched.values["nr_switches"] >= rows[RCU_WORKER].sleeps
    assert files.status.lines["Kthread"] == "1"


@live
@pytest.mark.root
def test_an_ordinary_user_sees_the_well_known_workers_and_is_told_what_is_missing() -> None:
    # Python itself may lie where only root can read: all that is needed is imported first.
    script = "import os, json; from kwlab.host.command import ps; os.setuid(65534); ps(None, None, False, True)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    seen = json.loads(done.stdout)
    row = next(row for row in seen["workers"] if row["name"] == RCU_WORKER)
    assert (row["found_by"], row["runs"], seen["root"]) == ("name", "?", False)
    assert any("without root" in note for note in seen["notes"])


@linux
def test_ps_of_a_process_and_of_none() -> None:
    done = subprocess.run([sys.executable, "-m", "kwlab.cli", "ps", "--pid", "0"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "there is no process 0\n")
    done = subprocess.run([sys.executable, "-m", "kwlab.cli", "ps"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "policy" in done.stdout


@linux
def test_ps_watch_refreshes_until_ctrl_c() -> None:
    command = [sys.executable, "-m", "kwlab.cli", "ps", "--watch", "0.1", "--pid", str(os.getpid())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "TTY_COMPATIBLE": "1"}) as process:
        assert process.stdout is not None
        seen = b""
        while seen.count(b"preempted") < 3:  # the table is drawn again and again; the test's own limit ends a hang
            seen += os.read(process.stdout.fileno(), 4096)
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(30) == 0


# ------------------------------------------------------------------------------------------------------------- mirrors


@pytest.mark.parametrize("kernel", ["6.18", "this"])
@pytest.mark.parametrize("name", STRUCTS)
def test_a_mirror_has_the_kernels_size_and_offsets(name: str, kernel: str) -> None:
    layout, twin = kernel_struct(name, kernel), mirror(name, kernel)
    assert ctypes.sizeof(twin) == layout.size
    for field in layout.fields:
        assert getattr(twin, field.name).offset == field.offset
        assert getattr(twin, field.name).size == field.size


@pytest.mark.parametrize(("kernel", "worker", "work"), [("3.19", 40, 32), ("4.9", 56, 40), ("6.1", 56, 40)])
def test_older_kernels_have_mirrors_of_worker_and_work(kernel: str, worker: int, work: int) -> None:
    assert ctypes.sizeof(mirror("kthread_worker", kernel)) == worker
    assert ctypes.sizeof(mirror("kthread_work", kernel)) == work


def test_a_mirror_reads_memory_as_the_kernel_wrote_it() -> None:
    twin = mirror("kthread_work", "6.18")
    data = bytearray(ctypes.sizeof(twin))
    data[32:36] = (3).to_bytes(4, sys.byteorder)
    data[24:32] = (0x1234).to_bytes(8, sys.byteorder)
    work = twin.from_buffer(data)
    assert (work.canceling, work.worker, work.node.next) == (3, 0x1234, None)


def test_a_layout_that_ctypes_would_not_make_is_an_error() -> None:
    packed = Layout("packed", 5, (Field("a", "char a", 0, 1), Field("b", "int b", 1, 4)), "a test")
    with pytest.raises(MirrorError, match="struct packed of a test: b lies at 1, ctypes puts it at 4"):
        mirror_of(packed, "6.18")
    short = Layout("short", 12, (Field("a", "int *a", 0, 8), Field("b", "int b", 8, 4)), "a test")
    with pytest.raises(MirrorError, match="takes 12 bytes, with ctypes 16"):
        mirror_of(short, "6.18")


@pytest.mark.skipif(not Path("/sys/kernel/btf/vmlinux").exists(), reason="this kernel carries no BTF")
def test_this_kernels_structs_have_the_known_sizes() -> None:
    if os.uname().release.startswith("6.18") and os.uname().machine == "x86_64":
        names = ("kthread_worker", "kthread_work", "kthread_delayed_work", "list_head", "timer_list", "kthread")
        assert [kernel_struct(name, "this").size for name in names] == [56, 40, 80, 16, 40, 152]
    assert kernel_struct("kthread_delayed_work", "this")["timer"].offset == kernel_struct("kthread_work", "this").size


# -------------------------------------------------------------------------------------------------- tracing this kernel


@live
@pytest.mark.root
@pytest.mark.usefixtures("left_as_it_was")
def test_twenty_real_works_are_captured_with_their_latencies() -> None:
    reader = TraceReader(capture_live(20).splitlines(keepends=True), strict=True)
    analysis = analyse(reader)
    worker = next(one for one in analysis.workers.values() if one.thread == RCU_WORKER[:15])
    one = worker.functions["wait_rcu_exp_gp"]
    assert one.queued == one.runs >= 20  # others may have caused some, too
    assert one.delay.count >= 20
    assert one.time.count >= 20
    assert 0 < one.delay.least < 0.1
    assert analysis.events["sched_switch"] >= 20
    assert worker.wakeups >= 20


@live
@pytest.mark.root
@pytest.mark.usefixtures("left_as_it_was")
@pytest.mark.parametrize("way", [membarrier, tmpfs_round])
def test_both_ways_make_the_kernel_queue_a_work(way) -> None:
    with expedited_rcu(), trace_instance() as instance:
        way()
        assert "function=wait_rcu_exp_gp" in instance.text()


@live
@pytest.mark.root
@pytest.mark.usefixtures("left_as_it_was")
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_everything_is_restored_after_an_exception(error: type[BaseException]) -> None:
    folders = []

    def fail() -> None:
        with expedited_rcu(), trace_instance() as instance:
            folders.append(instance.folder)
            assert RCU_EXPEDITED.read_text().strip() == "1"
            enable = instance.folder / "events/sched/sched_kthread_work_queue_work/enable"
            assert enable.read_text().strip() == "1"
            raise error

    with pytest.raises(error):
        fail()
    assert not folders[0].exists()


@live
@pytest.mark.root
@pytest.mark.usefixtures("left_as_it_was")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_recording_that_is_ended_by_a_signal_cleans_up(number: signal.Signals, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    command = ["sh", "-c", f"echo > {ready}; exec sleep 60"]
    recording = subprocess.Popen(
        [sys.executable, "-m", "kwlab.cli", "trace", "record", "-o", tmp_path / "t", "--", *command],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    until = time.monotonic() + 60
    while not ready.exists() and time.monotonic() < until:
        time.sleep(0.01)
    os.killpg(recording.pid, number)
    recording.communicate(timeout=60)
    assert recording.returncode != 0


@live
@pytest.mark.root
@pytest.mark.usefixtures("left_as_it_was")
def test_record_runs_a_command_keeps_its_trace_and_its_status(tmp_path: Path) -> None:
    out = tmp_path / "t.txt"
    script = "from kwlab.host.livelab import *\nwith expedited_rcu():\n    membarrier()\nraise SystemExit(3)"
    done = subprocess.run(
        [sys.executable, "-m", "kwlab.cli", "trace", "record", "-o", out, "--", sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 3, done.stderr
    assert "wait_rcu_exp_gp" in done.stdout
    assert analyse(TraceReader(out, strict=True)).events["sched_kthread_work_execute_end"] >= 1
    done = subprocess.run(
        [sys.executable, "-m", "kwlab.cli", "trace", "record", "-o", out, "--", "no-such-command"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 127
    assert "no-such-command: No such file or directory" in done.stderr


@live
@pytest.mark.root
@pytest.mark.usefixtures("left_as_it_was")
def test_an_instance_of_a_killed_kwlab_is_removed_by_the_next() -> None:
    with tracefs.tracefs() as root:
        forgotten = root / "instances" / "kwlab-4194305-x"  # above the largest pid
        forgotten.mkdir()
        (forgotten / "events/sched/sched_kthread_work_queue_work/enable").write_text("1")
        with trace_instance() as instance:
            assert not forgotten.exists()
            assert instance.folder.exists()


@live
@pytest.mark.root
@pytest.mark.skipif(not shutil.which("trace-cmd"), reason="needs Debian's trace-cmd: make setup-ci")
def test_a_trace_dat_says_what_the_text_of_the_same_trace_says(tmp_path: Path) -> None:
    before = mounts()
    try:
        with expedited_rcu(), trace_instance(dict.fromkeys(tracefs.EVENTS, "")) as instance:
            for _ in range(5):
                membarrier()
            instance.stop()
            text = analyse(TraceReader(instance.text().splitlines(), strict=True))
            subprocess.run(
                ["trace-cmd", "extract", "-B", instance.folder.name, "-o", tmp_path / "trace.dat"],
                capture_output=True,
                timeout=60,
            )
    finally:  # trace-cmd mounts what it needs, and leaves it
        for line in mounts().splitlines():
            place = line.split()[1]
            if f" {place} " not in before:
                subprocess.run(["umount", place], capture_output=True, timeout=60)
    reader = TraceReader(tmp_path / "trace.dat", strict=True)
    dat = analyse(reader)
    assert dat.events == text.events
    assert [run.function for run in dat.runs] == [run.function for run in text.runs]
    for one, other in zip(dat.runs, text.runs, strict=True):
        assert (one.pid, one.thread, one.cpu) == (other.pid, other.thread, other.cpu)
        assert one.started == pytest.approx(other.started, abs=2e-6)


@live
@pytest.mark.root
@pytest.mark.usefixtures("left_as_it_was")
def test_what_the_kernel_does_not_take_is_said() -> None:
    with trace_instance({}) as instance:
        with pytest.raises(TracefsError, match=r"no event sched_no_such: .* came with Linux 5\.11"):
            instance.enable("sched_no_such")
        with pytest.raises(TracefsError, match="sched_switch/filter does not take 'nonsense'"):
            instance.enable("sched_switch", "nonsense")


@live
@pytest.mark.root
@pytest.mark.usefixtures("left_as_it_was")
def test_a_buffer_that_is_too_small_is_noticed() -> None:
    with expedited_rcu(), trace_instance(dict.fromkeys(tracefs.EVENTS, ""), buffer_kb=4) as instance:
        for _ in range(300):
            membarrier()
        instance.stop()
        assert instance.lost() > 0


def test_without_root_tracing_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(TracefsError, match="tracing the kernel needs root"), trace_instance():
        pass


def test_a_kernel_without_the_worker_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(livelab, "find_workers", lambda: find_workers(fake_proc(tmp_path, {})))
    with pytest.raises(TracefsError, match="has no thread called rcu_exp_gp_kthread_worker"):
        capture_live(1)
    with pytest.raises(ValueError, match="at least one work"):
        capture_live(0)
