"""The real kernel's answers: how a scenario gets there, how the answers come back, and what they are."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_recordings import FILES, FUNCTIONS, OUTSIDE_A_KERNEL, RECORDINGS, recorded_calls

from kwlab.oracle import boot as boot_module
from kwlab.oracle import packages, play
from kwlab.oracle.boot import Boot, _run, _taken_apart
from kwlab.oracle.guest import INIT, _entry
from kwlab.oracle.packages import KernelTree, OracleError, fetch, needs
from kwlab.oracle.play import Answer, ask_kernel, known_difference
from kwlab.oracle.program import LIMITS, ProgramError, program
from kwlab.oracle.recording import entry, write_recording
from kwlab.oracle.results import read_results
from kwlab.scenario.conformance import further, recorded
from kwlab.scenario.language import OPERATIONS
from kwlab.scenario.load import load, parse
from kwlab.scenario.observations import compare

SOURCE = (Path(packages.__file__).parent / "module" / "kwlab_oracle.c").read_text()

FLUSHES = """
scenario: flushes
workers:
  A: {cpu: 1, sched: fifo, nice: -3}
works:
  W:
    gated: true
    body:
      1:
        - kthread_queue_work(D, A): true
      every:
        - msleep(2)
  D: {delayed: true}
before:
  - settle()
steps:
  - kthread_queue_work(W, A): true
  - state_work(W): {node_empty: 1, worker: A}
  - act1 kthread_flush_work(W): void
  - blocked(act1): true
  - state_work_list(A): [W, kthread_flush_work_fn]
  - open_gate(W)
  - returned(act1): true
  - check_runs(W): 1
  - state_thread(A): S
order: [W, D]
"""


# ---------------------------------------------------------------------------------------------------------- the program


def test_a_scenario_becomes_one_line_for_each_worker_work_call_and_step() -> None:
    text = program(parse(FLUSHES))
    assert text.splitlines()[:8] == [
        "WORKER\tA\tkthread_run_worker\t0\t1\tfifo\t-3\tA/%u",
        "WORK\tW\t0\t1\t0",
        "WORK\tD\t1\t0\t0",
        "BODY\tW\t1\t1\t1\tmain\tkthread_queue_work\tD\tA",
        "BODY\tW\t0\t1\t1\tmain\tmsleep\t2",
        "BEFORE\t1\t1\tmain\tsettle",
        "STEP\t1\t1\tmain\tkthread_queue_work\tW\tA",
        "STEP\t2\t1\tmain\tstate_work\tW",
    ]
    assert "STEP\t3\t1\tact1\tkthread_flush_work\tW\n" in text


@pytest.mark.parametrize("path", [*recorded(), *further()], ids=lambda path: path.stem)
def test_every_scenario_that_comes_with_kwlab_can_be_put_to_the_kernel(path: Path) -> None:
    scenario = load(path)
    assert scenario.not_applicable or program(scenario).count("STEP\t") == len(scenario.steps)


def test_the_module_knows_every_word_of_the_language_and_the_same_limits() -> None:
    names = re.search(r"op_names\[\] = \{(.*?)\};", SOURCE, re.DOTALL)
    assert names is not None
    assert set(re.findall(r'"(\w+)"', names[1])) == set(OPERATIONS)
    defined = {name: int(value) for name, value in re.findall(r"#define (MAX_\w+)\t+(\d+)", SOURCE)}
    assert [defined[name] for name in ("MAX_WORKERS", "MAX_WORKS", "MAX_CALLS", "MAX_CALLS")] == list(LIMITS.values())
    order = re.search(r"enum op \{(.*?)\};", SOURCE, re.DOTALL)
    assert order is not None
    assert len(order[1].replace("\n", "").split(",")) == len(OPERATIONS) + 1  # and NO_OP


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (f"  {'A' * 64}: {{}}\n", "names of up to 63 printable bytes"),
        ("".join(f"  A{number}: {{}}\n" for number in range(16)), "17 workers"),
    ],
)
def test_what_the_module_cannot_take_is_said(more: str, why: str) -> None:
    with pytest.raises(ProgramError, match=why):
        program(parse(FLUSHES.replace("works:", f"{more}works:")))


# ---------------------------------------------------------------------------------------------------------- the answers

RESULTS = """\
THREAD\tA\t98
WORK\tW\tffff8d239ffbfe88
ORDER\tW
EVENT\tqueue\tW
EVENT\tqueue\tkthread_flush_work_fn
ANSWER\t1\tmain\t1
ANSWER\t2\tmain\tnode_empty=1,canceling=0,is_current=0,worker=A,timer_pending=0
ANSWER\t4\tmain\t1
ANSWER\t5\tmain\tW,kthread_flush_work_fn,
INSIDE\t1\tW#1\t1
ORDER\tD
ANSWER\t6\tmain\tvoid
ANSWER\t7\tmain\t1
ANSWER\t3\tact1\tvoid
ANSWER\t8\tmain\t1
ANSWER\t9\tmain\tS
PLAYED
"""


def test_the_modules_lines_become_observations_that_agree() -> None:
    scenario = parse(FLUSHES)
    played = read_results(scenario, RESULTS, "")
    assert compare(scenario, played.observed) == []
    assert played.observed.trace == [["queue", "W"], ["queue", "<flush>"]]
    assert played.observed.steps[1]["ret"]["worker"] == "A"
    assert played.observed.inside == [
        {"by": "W", "op": "kthread_queue_work", "args": ["D", "A"], "ret": True, "work": "W#1"}
    ]


@pytest.mark.parametrize(
    ("now", "then", "difference"),
    [
        ("ANSWER\t1\tmain\t1", "ANSWER\t1\tmain\t0", "step 1, kthread_queue_work(W, A): expected true, seen false"),
        ("worker=A", "worker=other", "worker expected A, seen other"),
        ("W,kthread_flush_work_fn,", "", "expected W, kthread_flush_work_fn, seen nothing"),
        ("ORDER\tD\n", "", "order: after 1 that agree, expected D, seen nothing"),
        ("INSIDE\t1\tW#1\t1\n", "", "inside W#1, kthread_queue_work(D, A): it never came back"),
        ("PLAYED", "HANG\tended", "hang: the main thread waits for ever, in ended"),
        ("ANSWER\t9\tmain\tS\nPLAYED", "ANSWER\t9\tma", "cut off in the middle: 'ANSWER\\t9\\tma'"),
        ("PLAYED\n", "", "hang: the kernel did not come to the end of the scenario"),
        ("PLAYED", "ERROR\t-12", "the kernel module could not set the scenario up: -12"),
    ],
)
def test_another_answer_is_a_difference(now: str, then: str, difference: str) -> None:
    scenario = parse(FLUSHES)
    assert now in RESULTS
    found = compare(scenario, read_results(scenario, RESULTS.replace(now, then), "").observed)
    assert any(difference in line for line in found), found


@pytest.mark.parametrize(
    "line",
    [
        "[  1.0] WARNING: CPU: 0 PID: 9 at kernel/kthread.c:975 kthread_insert_work+0xbb/0x110",
        "[  1.0] WARNING: kernel/kthread.c:975 at kthread_insert_work+0xbb/0x110, CPU#0: kwo_A/9",
    ],
)
def test_warnings_are_read_from_the_log_of_old_and_new_kernels(line: str) -> None:
    log = f"{line.replace('insert', 'earlier')}\n[  1.0] kwlab_oracle: begin\n{line}\n{line}\n"
    played = read_results(parse(FLUSHES), RESULTS, log)
    assert played.observed.warns == ["kthread_insert_work"]
    assert played.warn_places == ["kernel/kthread.c:975 kthread_insert_work"]


# ------------------------------------------------------------------------------------------------------------- the boot


def test_the_archive_is_one_that_the_kernel_reads(tmp_path: Path) -> None:
    archive = _entry(1, "dir", 0o040755, b"") + _entry(2, "dir/f", 0o100644, b"hello") + _entry(3, "TRAILER!!!", 0, b"")
    for number, (name, size) in enumerate([("dir", 0), ("dir/f", 5), ("TRAILER!!!", 0)], 1):
        place = archive.index(b"070701" + f"{number:08X}".encode())
        assert place % 4 == 0
        assert archive[place + 54 : place + 62] == f"{size:08X}".encode()
        assert archive[place + 94 : place + 102] == f"{len(name) + 1:08X}".encode()
        assert archive[place + 110 :].startswith(name.encode() + b"\0")
    assert len(archive) % 4 == 0


def test_what_the_guest_sent_is_taken_apart_and_a_crash_names_its_scenario() -> None:
    sent = "=== 000-a results\nPLAYED\n=== 000-a log\nx\n=== 000-a done\n=== 001-b results\n"
    console = (
        "kwlab: scenario 000-a\r\nkwlab: scenario 001-b\r\n[ 7.1] list_del corruption\r\n"
        "[ 7.2] kernel BUG at lib/list_debug.c:59!\r\n[ 7.3] Kernel panic - not syncing\r\n"
    )
    found = _taken_apart(console, sent, False)
    assert found.sections["000-a"] == {"results": "PLAYED\n", "log": "x\n", "done": ""}
    assert (found.current, found.death) == ("001-b", "[ 7.2] kernel BUG at lib/list_debug.c:59!")
    fine = _taken_apart("kwlab: scenario 000-a\n", "=== 000-a results\n=== 000-a done\n=== all over\n", False)
    assert (fine.current, fine.death) == ("", "")


def test_a_guest_that_hangs_is_ended_at_the_limit_even_if_it_ignores_signals(tmp_path: Path) -> None:
    begin = time.monotonic()
    stubborn = ["sh", "-c", "trap '' TERM INT; while :; do sleep 1; done"]
    assert _run(stubborn, tmp_path / "none", 0.3, lambda name: None)
    assert time.monotonic() - begin < 60
    assert not _run(["true"], tmp_path / "none", 30, lambda name: None)


def boots(monkeypatch: pytest.MonkeyPatch, *ends: Boot) -> list[list[str]]:
    """Have `boot` end as said; the programs of each boot."""
    asked: list[list[str]] = []

    def fake(tree: object, programs: dict[str, str], limit: float, progress: object) -> Boot:
        asked.append(list(programs))
        return ends[len(asked) - 1]

    monkeypatch.setattr(play, "boot", fake)
    monkeypatch.setattr(play, "fetch", lambda kernel: KernelTree(Path(), "6.1.0-1-amd64", "6.1.192"))
    return asked


def test_after_a_crash_the_rest_is_played_in_another_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [FILES[name] for name in ("a_queue_idle", "b_queue_pending", "u1_from_hardirq", "c_requeue_running")]
    done = {"results": "", "done": ""}
    asked = boots(
        monkeypatch,
        Boot({"000-a_queue_idle": done, "001-b_queue_pending": {}}, "001-b_queue_pending", "kernel BUG at x"),
        Boot({"000-c_requeue_running": done}),
    )
    _, answers = ask_kernel(files)
    assert asked == [
        ["000-a_queue_idle", "001-b_queue_pending", "002-c_requeue_running"],
        ["000-c_requeue_running"],
    ]
    crashed = answers[1]
    assert crashed.differences[0] == "the kernel did not survive it: kernel BUG at x"
    assert crashed.kwlab_differences == []
    assert answers[2].not_played.startswith("a process has no hard interrupts")
    assert not any(answer.agrees for answer in answers)


def test_a_guest_that_never_starts_is_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    boots(monkeypatch, Boot(timed_out=True))
    _, (answer,) = ask_kernel([FILES["a_queue_idle"]])
    assert answer.differences[:2] == [
        "the kernel did not survive it: no boot reached it",
        "hang: the kernel never came to it",
    ]


def test_known_differences_come_from_the_table_of_versions() -> None:
    known = known_difference("destroy_with_timer_armed", "6.1.192")
    assert known == "kthread_destroy_worker() while a timer is armed says nothing; since 6.3 it warns"
    assert known_difference("destroy_with_timer_armed", "6.12.95") == ""
    assert known_difference("a_queue_idle", "6.1.192") == ""
    assert known_difference("destroy_with_timer_armed", "5.10.1") == ""


def test_missing_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None if "qemu" in name else f"/bin/{name}")
    assert needs() == "needs qemu-system-x86_64: apt-get install qemu-system-x86"
    with pytest.raises(OracleError, match="the oracle needs qemu-system-x86_64"):
        fetch()


def test_a_scenario_that_cannot_be_read_is_an_error_before_anything_is_fetched(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("scenario: [")
    done = subprocess.run(
        [sys.executable, "-m", "kwlab.cli", "oracle", "run", path], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr.startswith("x.yaml: line 1")


def test_a_guest_that_panics_ends_qemu_and_every_scenario_is_sent_home_before_the_next() -> None:
    assert INIT.index("section $name done") < INIT.index("\ndone\n")
    assert {"panic=-1", "oops=panic"} <= set(boot_module.COMMAND_LINE.split())
    assert "-no-reboot" in boot_module.QEMU


# ------------------------------------------------------------------------------------------------------ the real kernel

CRASH = """
scenario: zz_timer_of_a_freed_worker
workers: {A: {}}
works: {D: {delayed: true}}
steps:
  - kthread_queue_delayed_work(D, A, 300): true
  - kthread_destroy_worker(A)
  - msleep(1500)
order: []
"""
WRONG = """
scenario: wrong
workers: {A: {}}
works: {W: {gated: true}}
steps:
  - kthread_queue_work(W, A): true
  - started(W)
  - kthread_queue_work(W, A): false
  - kthread_flush_work(W): void
order: [W]
"""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[KernelTree, dict[str, Answer]]:
    """Every scenario, a wrong one that hangs, and one that kills the kernel, in one boot."""
    if missing := needs():
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("oracle")
    files = [*recorded(), *further()]
    for name, text in (("wrong", WRONG), ("zz_timer", CRASH)):
        files.append(folder / f"{name}.yaml")
        files[-1].write_text(text)
    try:
        fetch()
    except OracleError as error:
        pytest.skip(f"no kernel can be fetched: {error}")
    tree, answers = ask_kernel(files)
    return tree, {answer.scenario.name: answer for answer in answers}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_kernel_the_files_and_kwlab_agree_on_every_scenario(real) -> None:
    tree, answers = real
    news = {
        name: answer.differences + answer.kwlab_differences
        for name, answer in answers.items()
        if name not in ("wrong", "zz_timer_of_a_freed_worker") and not answer.expected_difference
        if answer.differences or answer.kwlab_differences
    }
    assert news == {}
    assert sum(answer.played is not None for answer in answers.values()) >= 53 + 2
    if tree.version.startswith("6.1."):
        assert [name for name, answer in answers.items() if answer.expected_difference] == ["destroy_with_timer_armed"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_observations_are_those_of_the_recording(real) -> None:
    tree, answers = real
    if tree.version not in RECORDINGS:
        pytest.skip(f"there is no recording of Linux {tree.version}")
    for name in FILES.keys() - OUTSIDE_A_KERNEL:
        old, new = RECORDINGS[tree.version][name], entry(answers[name])
        seen: dict[str, list[object]] = {}
        for step in new["steps"]:
            arguments = [] if step["op"] == "rescue" else step["args"]
            seen.setdefault(step["by"], []).append((step["op"], arguments, step["ret"]))
        wanted = recorded_calls(old)
        if name == "f7_flush_endless":  # true or false, by timing
            place = next(n for n, call in enumerate(wanted["act1"]) if call[0] == "kthread_cancel_work_sync")
            assert seen["act1"][place][2] in (True, False)
            seen["act1"][place] = wanted["act1"][place]
        assert seen == wanted, name
        assert new["order"] == old["order"], name
        assert new["warns"] == old["warns"], name
        if old["notes"]["trace_same_in_all_runs"]:
            assert new["trace"] == [[kind, FUNCTIONS.get(work, work)] for kind, work in old["trace"]], name


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_wrong_expectation_and_a_hang_are_told_and_a_dead_kernel_is_a_result(real) -> None:
    _, answers = real
    assert answers["wrong"].differences[:2] == [
        "hang: the main thread waits for ever, in kthread_flush_work",
        "step 3, kthread_queue_work(W, A): expected false, seen true",
    ]
    crashed = answers["zz_timer_of_a_freed_worker"]
    assert crashed.played is not None
    # It dies of a corrupted list, or spins for ever on a lock that was freed, with or without the other CPU's noticing.
    deaths = r"kernel BUG|panic|BUG:|protection fault|detected stall|it did not come to an end in time"
    assert re.search(deaths, crashed.played.crash)
    assert crashed.differences[0].startswith("the kernel did not survive it: ")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_recording_has_observations_traces_and_proc(real, tmp_path: Path) -> None:
    tree, answers = real
    kept = write_recording(tmp_path, tree, answers.values())
    data = json.loads((tmp_path / f"linux-{tree.version}.json").read_text())
    assert kept == len(data) >= 55
    assert list((tmp_path / "traces").glob("f7_flush_endless.txt*"))
    assert "sched_kthread_work_queue_work" in (tmp_path / "traces" / "f3_flush_pending.txt").read_text()
    stuck = (tmp_path / "proc" / "n7_flush_self_open.kwo_selfflush.txt").read_text()
    assert "State:\tD (disk sleep)" in stuck
    assert "== /proc/kwo_selfflush/wchan\nkthread_flush_work\n" in stuck
