"""The worker on real threads gives the kernel's answers; a worker that is broken on purpose does not."""

import inspect
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from kwlab import worker as the_worker
from kwlab.cli import COMMANDS, main
from kwlab.museum.variant import Edit, make_variant
from kwlab.runtime.clock import SteppedClock
from kwlab.runtime.threads import ThreadRuntime
from kwlab.scenario.conformance import conform, further, play_on_threads, recorded
from kwlab.scenario.load import ScenarioError, load, parse
from kwlab.scenario.observations import compare
from kwlab.scenario.runner import run
from kwlab.scenario.versions import DIFFERENCES, RECORDED, TARGET, VERSIONS

pytestmark = pytest.mark.threads

FILES = {path.stem: path for path in recorded() + further()}
APPLICABLE = sorted(name for name, path in FILES.items() if not load(path).not_applicable)


@pytest.fixture(autouse=True)
def _no_thread_is_left_behind() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = set(threading.enumerate()) - before
    for thread in left:
        thread.join(5)
    assert [thread.name for thread in left if thread.is_alive()] == []


def differences(name: str, subject: ModuleType = the_worker) -> list[str]:
    observed, left = play_on_threads(scenario := load(FILES[name]), subject, limit=5)
    return compare(scenario, observed) + left


@pytest.mark.parametrize("name", APPLICABLE)
def test_the_worker_answers_as_the_kernel_did(name: str) -> None:
    assert differences(name) == []


# ----------------------------------------------------------------------------------------- what the scenarios can see


def variant(*changes: tuple[str, str]) -> ModuleType:
    """The worker with some lines of its source replaced."""
    return make_variant("broken on purpose", tuple(Edit(old, new) for old, new in changes))


# What is broken, how, and the scenarios that must disagree.
BREAKAGES: dict[str, tuple[list[tuple[str, str]], list[str]]] = {
    "a queue puts the work in front": (
        [
            (
                "if queued:\n            kthread_insert_work(worker, work, worker.work_list)",
                "if queued:\n            kthread_insert_work(worker, work, worker.work_list.next)",
            )
        ],
        ["d_self_requeue", "e_fifo", "n1_queue_from_inside"],
    ),
    "the flush of a pending work goes to the tail": (
        [
            (
                "kthread_insert_work(worker, fwork.work, work.node.next)",
                "kthread_insert_work(worker, fwork.work, worker.work_list)",
            )
        ],
        ["f3_flush_pending", "f8_two_flushers"],
    ),
    "the flush of a running work goes to the tail": (
        [
            (
                "kthread_insert_work(worker, fwork.work, worker.work_list.next)",
                "kthread_insert_work(worker, fwork.work, worker.work_list)",
            )
        ],
        ["f4_flush_running", "h3_cancel_running"],
    ),
    "the flush of an idle work waits for the worker": (
        [
            ("            must_wait = False", "            kthread_insert_work(worker, fwork.work, worker.work_list)"),
            ("    if must_wait:\n", "    if True:\n"),
        ],
        ["f2_flush_idle", "n2_flush_idle_from_inside"],
    ),
    "every queue wakes the thread": (
        [("if worker.current_work is None and worker.task is not None:", "if worker.task is not None:")],
        ["busy_worker_is_not_woken"],
    ),
    "no queue wakes the thread": (
        [
            (
                "        worker.task.wake_up(TASK_NORMAL)\n\n\ndef kthread_queue_work",
                "        pass\n\n\ndef kthread_queue_work",
            )
        ],
        ["a_queue_idle", "g2_flush_worker_idle"],
    ),
    "current_work is not set": (
        [("            worker.current_work = work\n", "            worker.current_work = None\n")],
        ["c_requeue_running", "f4_flush_running", "h3_cancel_running"],
    ),
    "current_work is not cleared when the list is empty": (
        [
            (
                "            worker.current_work = work\n",
                "            worker.current_work = work or worker.current_work\n",
            )
        ],
        ["a_queue_idle"],
    ),
    "a work is unlinked after it ran": (
        [
            ("                list_del_init(work.node)\n                if probes:", "                if probes:"),
            ("                func(work)\n", "                func(work)\n                list_del_init(work.node)\n"),
        ],
        ["c_requeue_running", "d_self_requeue"],
    ),
    "the loop looks into the work after it ran": (
        [("                func(work)\n", "                func(work)\n                work.canceling\n")],
        ["r1_free_in_func"],
    ),
    "cancel does not keep others from queueing": (
        [
            ("            work.canceling += 1\n    if running:", "            pass\n    if running:"),
            (
                "            with worker.lock:\n                work.canceling -= 1\n    if noted",
                "            pass\n    if noted",
            ),
        ],
        ["i1_queue_while_canceling", "h3_cancel_running", "j10_periodic_cancel"],
    ),
    "cancel does not wait for the running work": (
        [("            kthread_flush_work(work)\n        finally", "            pass\n        finally")],
        ["h3_cancel_running", "h4_cancel_running_pending", "n5_cancel_self"],
    ),
    "cancel leaves the timer armed": (
        [("    __timer_delete_sync(dwork.timer)\n", "")],
        ["j8_cancel_delayed"],
    ),
    "mod answers false when a cancel wins": (
        [("                was_pending = True\n", "                was_pending = False\n")],
        ["i1_queue_while_canceling"],
    ),
    "delay 0 goes through the timer": (
        [("    if delay == 0:\n", "    if False:\n")],
        ["j1_delay0"],
    ),
    "the delayed list is first in, first out": (
        [("list_add(work.node, worker.delayed_work_list)", "list_add_tail(work.node, worker.delayed_work_list)")],
        ["j3_delay_order"],
    ),
    "the timer leaves the work on the delayed list": (
        [("        list_del_init(work.node)\n        # A cancel is waiting", "        # A cancel is waiting")],
        ["g3_flush_worker_delayed", "j2_delay_pos"],
    ),
    "stop is looked at after the list": (
        [
            (
                "if requests.test_bit(KTHREAD_SHOULD_STOP):",
                "if requests.test_bit(KTHREAD_SHOULD_STOP) and list_empty(worker.work_list):",
            )
        ],
        ["l3_stop_without_flush"],
    ),
    "a thread that ends leaves no current_work": (
        [("                worker.task = None\n", "                worker.task = worker.current_work = None\n")],
        ["l3_stop_without_flush"],
    ),
    "destroy does not flush": (
        [
            (
                "    kthread_flush_worker(worker)\n    try:\n        kthread_stop(task)",
                "    try:\n        kthread_stop(task)",
            )
        ],
        ["l1_destroy_pending"],
    ),
    "no warning about a work of another worker": (
        [("    if work.worker is not worker and work.worker is not None:", "    if False:")],
        ["q2_finished_elsewhere"],
    ),
    "no warning when the timer finds the work on no list": (
        [
            (
                '            list_empty(work.node),\n            "kthread_delayed',
                '            False,\n            "kthread_delayed',
            )
        ],
        ["j9_cancel_work_on_dwork"],
    ),
    "creating a worker flushes it": (
        [("    worker.lock.name = f", "    kthread_flush_worker(worker)\n    worker.lock.name = f")],
        ["o_open"],
    ),
    "create starts the thread, as before 6.14": (
        [
            (
                "    worker.task = task\n    worker.lock.name",
                "    worker.task = task\n    wake_up_process(task)\n    worker.lock.name",
            )
        ],
        ["create_does_not_start"],
    ),
    "destroy does not warn about an armed timer, as before 6.3": (
        [("armed, queued = not list_empty(worker.delayed_work_list)", "armed, queued = False")],
        ["destroy_with_timer_armed"],
    ),
}


@pytest.mark.parametrize(("what", "name"), [(what, name) for what, (_, names) in BREAKAGES.items() for name in names])
def test_a_worker_that_is_broken_on_purpose_disagrees(what: str, name: str) -> None:
    assert differences(name, variant(*BREAKAGES[what][0])) != []


def test_the_variant_that_changes_nothing_agrees() -> None:
    unchanged = variant()
    assert [name for name in APPLICABLE if differences(name, unchanged)] == []


def test_no_scenario_agrees_with_everything() -> None:
    blind = set(APPLICABLE)
    for what in ("creating a worker flushes it", "no queue wakes the thread", "current_work is not set"):
        broken = variant(*BREAKAGES[what][0])
        blind -= {name for name in blind if differences(name, broken)}
    assert blind == set()


def test_threads_of_a_broken_worker_are_ended_too() -> None:
    in_front = variant(*BREAKAGES["a queue puts the work in front"][0])
    (hang, *found) = differences("f7_flush_endless", in_front)
    assert hang.startswith("hang: step 6: waits for ever (")
    assert not [line for line in found if "would not end" in line]


def test_a_list_that_never_ends_and_a_lock_that_is_never_released_do_not_stop_the_runner() -> None:
    looped = variant(*BREAKAGES["the timer leaves the work on the delayed list"][0])
    assert any("it never comes back to its head" in line for line in differences("k1_flush_timer_pending", looped))
    locked = variant(("        fwork.done.wait()\n", "        with worker.lock:\n            fwork.done.wait()\n"))
    assert any(
        "act1 sleeps with the lock of kwo_A" in line for line in differences("g1_flush_worker_later_work", locked)
    )


# ------------------------------------------------------------------------------------------------------- the versions


def test_every_known_difference_is_shown_by_a_scenario_that_agrees_with_the_version_we_follow() -> None:
    assert VERSIONS == (*RECORDED, TARGET)
    for row in DIFFERENCES:
        assert len(set(row.says)) > 1, row.what
        assert row.shown_by, row.what
        assert set(row.shown_by) <= set(APPLICABLE), row.what
        assert conform([FILES[name] for name in row.shown_by]).agree == list(row.shown_by)


def test_every_scenario_about_a_version_is_in_the_table() -> None:
    about_versions = {path.stem for path in further() if TARGET in load(path).source}
    assert about_versions == {name for row in DIFFERENCES for name in row.shown_by} & {p.stem for p in further()}


def test_what_the_recording_calls_create_is_run_here() -> None:
    # Before 6.14 kthread_create_worker() started the thread, and kthread_run_worker() was not there.
    made_by = {worker.made_by for path in recorded() for worker in load(path).workers.values()}
    assert made_by == {"kthread_run_worker", "kthread_init_worker"}
    assert list(inspect.signature(the_worker.kthread_create_worker_on_cpu).parameters) == ["cpu", "flags", "namefmt"]


# --------------------------------------------------------------------------------------------- scenarios of one's own


def play(text: str, subject: ModuleType = the_worker) -> list[str]:
    observed, left = play_on_threads(scenario := parse(text), subject, limit=5)
    return compare(scenario, observed) + left


HEAD = "scenario: own\nworkers: {A: {}}\nworks: {W: {}, B: {gated: true}, D: {delayed: true}}\norder: []\nsteps:\n"


def test_a_hang_is_a_difference_that_says_who_waits_where() -> None:
    (found, order) = play(HEAD + "  - kthread_queue_work(B, A): true\n  - kthread_flush_work(B): void\n  - settle()\n")
    assert found.startswith("hang: step 2, kthread_flush_work(B): waits for ever (")
    assert "A sleeps in state D in B, at its gate" in found
    assert "main sleeps in state D in kthread_flush_work(B)" in found
    assert order == "order: expected nothing, seen B"


def test_a_wait_for_something_that_never_happens_is_a_hang() -> None:
    (found,) = play(HEAD + "  - ended(W)\n")
    assert found == "hang: step 1, ended(W): waits for ever (A sleeps in state S with no work)"


def test_a_thread_that_never_sleeps_is_a_hang_and_is_ended() -> None:
    text = (
        "scenario: own\nworkers: {A: {}}\nworks: {W: {quiet: true, body: {every: ['kthread_queue_work(W, A)']}}}\n"
        "order: []\nsteps:\n  - kthread_queue_work(W, A): true\n  - settle()\n"
    )
    observed, left = play_on_threads(parse(text), limit=0.2)
    assert observed.hang == "not quiet after 0.2 s: A still running"
    assert observed.failures == []
    assert left == []


def test_an_exception_in_a_call_is_its_answer() -> None:
    (found,) = play(HEAD + "  - kthread_destroy_worker(A): void\n  - kthread_queue_work(W, A): true\n")
    assert found.startswith("step 2, kthread_queue_work(W, A): expected true, seen raised UseAfterFree:")


def test_an_exception_in_a_step_that_is_not_compared_is_a_failure() -> None:
    (found,) = play(HEAD + "  - kthread_destroy_worker(A)\n  - kthread_flush_worker(A)\n")
    assert found.startswith("kthread_flush_worker(A) (step 2 there): raised UseAfterFree:")


def test_an_oops_in_the_worker_is_a_difference() -> None:
    broken = variant(('    container_of(work, _KthreadFlushWork, "work").done.complete()', "    raise OSError('no')"))
    found = play(HEAD + "  - act1 kthread_flush_worker(A): void\n  - blocked(act1): true\n", broken)
    assert [line for line in found if "warns: expected nothing, seen work kthread_flush_work_fn on worker A" in line]


def test_a_worker_may_be_initialised_again_after_its_thread_ended() -> None:
    text = (
        "scenario: own\nworkers: {E: {made_by: kthread_init_worker}}\nworks: {W: {}, V: {}}\norder: [V]\nsteps:\n"
        "  - kthread_queue_work(W, E): true\n  - kthread_init_worker(E)\n  - state_work_list(E): []\n"
        "  - kthread_run(E)\n  - kthread_queue_work(V, E): true\n  - ended(V)\n  - kthread_stop(E): 0\n"
    )
    assert play(text) == []


def test_answers_of_a_set_and_looks_by_field() -> None:
    steps = (
        "  - kthread_queue_work(D, A): {one_of: [false, true]}\n  - ended(D)\n  - settle()\n"
        "  - state_work(D): {worker: A}\n  - check_runs(D): {one_of: [2, 3]}\n"
    )
    assert play(HEAD.replace("order: []", "order: [D]") + steps) == ["step 5, check_runs(D): expected 2 or 3, seen 1"]


def test_the_runner_plays_on_a_runtime_that_it_is_given() -> None:
    runtime = ThreadRuntime(clock=SteppedClock(), on_deadlock="wait")
    scenario = load(FILES["j3_delay_order"])
    with runtime:
        observed = run(scenario, runtime)
    assert compare(scenario, observed) == []
    assert [step["op"] for step in observed.as_json()["steps"]][-1] == "state_delayed_work_list"
    assert runtime.tasks() == []


def test_other_workers_of_the_process_are_not_seen() -> None:
    stop = threading.Event()
    worker = the_worker.kthread_run_worker(0, "stranger")
    work = the_worker.DEFINE_KTHREAD_WORK(lambda work: None)

    def queue() -> None:
        while not stop.is_set():
            the_worker.kthread_queue_work(worker, work)
            the_worker.kthread_flush_work(work)

    thread = threading.Thread(target=queue)
    thread.start()
    try:
        assert differences("e_fifo") == []
    finally:
        stop.set()
        thread.join(10)
        the_worker.kthread_destroy_worker(worker)


# -------------------------------------------------------------------------------------------------------- the command


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return (ended.value.code or 0, *capsys.readouterr())  # type: ignore[return-value]


def test_the_command_prints_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = command(capsys, "conformance", "--json")
    report = json.loads(out)
    assert (code, err, list(report)) == (0, "", ["agree", "disagree", "not_applicable"])
    assert report["disagree"] == []
    assert set(report["agree"]) | set(report["not_applicable"]) == {path.stem for path in recorded()}
    assert len(report["agree"]) >= 47


def test_the_command_takes_files_it_has_never_seen(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    wrong, right, elsewhere = (tmp_path / name for name in ("wrong.yaml", "right.yaml", "elsewhere.yaml"))
    right.write_text(HEAD + "  - state_work(W): {worker: NULL}\n")
    wrong.write_text(HEAD.replace("own", "wrong") + "  - kthread_queue_work(W, A): false\n  - settle()\n")
    elsewhere.write_text("scenario: elsewhere\nnot_applicable: there is no such thing here\n")
    code, out, _ = command(capsys, "conformance", "--json", str(right), str(wrong), str(elsewhere))
    assert code == 1
    assert json.loads(out) == {
        "agree": ["own"],
        "disagree": ["wrong"],
        "not_applicable": {"elsewhere": "there is no such thing here"},
    }
    code, out, _ = command(capsys, "conformance", str(right), str(wrong))
    assert code == 1
    assert "step 1, kthread_queue_work(W, A): expected false, seen true" in out
    assert "1 agree, 1 disagree, 0 not applicable" in out


def test_a_file_that_cannot_be_read_ends_the_command_with_its_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "odd.yaml"
    file.write_text(HEAD + "  - kthread_queue(W, A): true\n")
    code, out, err = command(capsys, "conformance", "--json", str(file))
    assert (code, out) == (2, "")
    assert err.startswith("odd.yaml: step 1 (kthread_queue(W, A)): unknown operation 'kthread_queue'; did you mean")


def test_two_scenarios_of_one_name_are_refused(tmp_path: Path) -> None:
    files = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    for file in files:
        file.write_text(HEAD + "  - settle()\n")
    with pytest.raises(ScenarioError, match="2 of the files have a scenario called 'own'"):
        conform(files)


def test_a_set_up_that_this_machine_refuses_is_not_applicable_and_leaves_no_thread(tmp_path: Path) -> None:
    file = tmp_path / "far.yaml"
    file.write_text(HEAD.replace("{A: {}}", "{A: {}, Z: {cpu: 4000}}") + "  - settle()\n")
    report = conform([file])
    assert report.agree == []
    assert report.not_applicable["own"].startswith("this machine refuses its set-up: worker Z:")


def test_help_names_every_sub_command_and_versions_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = command(capsys, "--help")
    assert code == 0
    assert [name for name in COMMANDS if name not in out] == []
    code, out, _ = command(capsys, "conformance", "--versions")
    assert code == 0
    assert "6.1.192" in out
    assert "6.12.95" in out
