"""The widgets, without a browser: buttons are clicked by the comm message that a browser would send."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import ipywidgets
import pytest
from clicking import displayed, everything, find, press, shown

from kwlab import KthreadWorker, Worker, kthread_destroy_worker, kthread_run_worker
from kwlab.draw.layout import struct_picture
from kwlab.host.structs import kernel_struct
from kwlab.widgets.answers import FILE, keep_answer, kept_answers
from kwlab.widgets.live import LiveQueue
from kwlab.widgets.predict import Predict
from kwlab.widgets.structs import StructExplorer

pytestmark = pytest.mark.threads


def row(live: LiveQueue, name: str) -> ipywidgets.HBox:
    return live._rows[list(live.stage.acts).index(name)]


@pytest.fixture
def live() -> Iterator[LiveQueue]:
    threads = set(threading.enumerate())
    live = LiveQueue(kthread_run_worker(0, "live"))
    yield live
    live.close()
    for thread in set(threading.enumerate()) - threads:
        thread.join(10)
    assert set(threading.enumerate()) == threads


# ------------------------------------------------------------------------------------------------------- LiveQueue


def test_hold_queue_a_b_a_release(live: LiveQueue) -> None:
    press(find(live, "hold"))
    for name in "ABA":
        press(find(row(live, name), "queue"))
    assert "returned False: refused, it is pending" in shown(live)
    assert "accepted 1, refused 1, started 0" in shown(row(live, "A"))
    assert live.picture().label == (
        "worker with thread live (waiting); work_list: A, B; delayed_work_list: empty; current_work: hold"
    )
    assert live.picture().svg in shown(live)
    press(find(live, "release"))
    assert live.stage.started == ["A", "B"]
    assert "accepted 1, refused 1, started 1" in shown(row(live, "A"))
    assert "work_list: empty" in live.picture().label
    assert find(live, "release").disabled
    assert not find(live, "hold").disabled


def test_a_work_that_runs_is_queued_again(live: LiveQueue) -> None:
    press(find(live, "hold"))
    press(find(row(live, "A"), "queue"))
    press(find(live, "let one go"))
    assert "current_work: A" in live.picture().label
    press(find(row(live, "A"), "queue"))
    assert "returned True: it is linked now" in shown(live)
    press(find(live, "release"))
    assert live.stage.started == ["A", "A"]


def test_a_flush_waits_and_says_when_it_is_back(live: LiveQueue) -> None:
    press(find(live, "hold"))
    for name in "ABC":
        press(find(row(live, name), "queue"))
    press(find(row(live, "B"), "flush"))
    assert "flush_work(B) waits" in shown(live)
    assert "work_list: A, B, flush, C;" in live.picture().label
    press(find(live, "release"))
    assert "flush_work(B) returned" in shown(live)
    assert "waits" not in shown(live._said)


def test_a_cancel_says_what_it_did(live: LiveQueue) -> None:
    press(find(row(live, "A"), "cancel"))
    assert "cancel_work_sync(A) returned False" in shown(live)
    press(find(live, "hold"))
    press(find(row(live, "A"), "queue"))
    press(find(row(live, "A"), "cancel"))
    assert "cancel_work_sync(A) returned True" in shown(live)
    press(find(live, "release"))
    assert live.stage.started == []


def test_a_running_work_that_is_cancelled_cannot_be_queued(live: LiveQueue) -> None:
    press(find(live, "hold"))
    press(find(row(live, "A"), "queue"))
    press(find(live, "let one go"))
    press(find(row(live, "A"), "cancel"))
    assert "current_work: A (canceling 1)" in live.picture().label
    press(find(row(live, "A"), "queue"))
    assert "returned False: refused, it is being cancelled" in shown(live)


def test_let_one_go_on_an_idle_worker_leaves_nothing_behind(live: LiveQueue) -> None:
    press(find(live, "hold"))
    press(find(live, "let one go"))
    press(find(live, "let one go"))
    press(find(row(live, "A"), "queue"))
    assert "current_work: A" in live.picture().label


def test_buttons_work_from_any_thread_as_jupyter_calls_them(live: LiveQueue) -> None:
    """JupyterLab sends clicks to a subshell, which is a thread that kwlab has never met; each its own here."""
    failed: list[BaseException] = []

    def click(button: ipywidgets.Button) -> None:
        try:
            press(button)
        except BaseException as error:
            failed.append(error)

    def in_a_thread(button: ipywidgets.Button) -> None:
        thread = threading.Thread(target=click, args=(button,))
        thread.start()
        thread.join(30)
        assert not thread.is_alive()
        assert failed == []

    in_a_thread(find(live, "hold"))
    in_a_thread(find(row(live, "A"), "queue"))
    in_a_thread(find(row(live, "A"), "flush"))
    assert "flush_work(A) waits" in shown(live)
    in_a_thread(find(live, "let one go"))
    assert "current_work: A" in live.picture().label
    in_a_thread(find(live, "release"))
    assert "flush_work(A) returned" in shown(live)


def test_held_waited_for_and_full_it_ends_all_the_same(live: LiveQueue) -> None:
    press(find(live, "hold"))
    for name in "ABC":
        press(find(row(live, name), "queue"))
        press(find(row(live, name), "flush"))
    press(find(live, "end the thread"))
    assert live.stage.closed
    assert live.stage.started == []
    assert all(one.disabled for one in everything(live) if isinstance(one, ipywidgets.Button))
    live.end()  # again: nothing
    assert live.picture().label == "a worker that was freed"


def test_a_cell_that_runs_again_ends_what_it_made_before(live: LiveQueue) -> None:
    again = LiveQueue(kthread_run_worker(0, "live"))
    assert live.stage.closed
    assert not again.stage.closed
    again.close()


def test_a_worker_destroyed_behind_its_back_is_said(live: LiveQueue) -> None:
    kthread_destroy_worker(live.stage.worker)
    press(find(row(live, "A"), "queue"))
    assert "this worker was destroyed" in shown(live)
    assert find(live, "hold").disabled


def test_the_python_face_will_do() -> None:
    live = LiveQueue(Worker("face"), ["tick"])
    assert list(live.stage.acts) == ["tick"]
    live.close()


@pytest.mark.parametrize(
    ("worker", "error", "message"),
    [
        ("demo", TypeError, "needs a running worker"),
        (KthreadWorker(), ValueError, "this worker has no thread"),
    ],
)
def test_what_is_no_running_worker_is_refused(worker: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        LiveQueue(worker)


def test_a_live_queue_left_open_does_not_keep_python_from_ending() -> None:
    code = (
        "from kwlab import kthread_run_worker\nfrom kwlab.widgets.live import LiveQueue\n"
        "live = LiveQueue(kthread_run_worker(0, 'left'))\nlive.stage.hold(); live.stage.queue('A')\n"
        "live.stage.flush('A'); print(live.stage.settle()[1])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "['flush_work(A)']\n", "")


# --------------------------------------------------------------------------------------------------------- Predict


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(reveal=lambda: ["A", "B"], **kind) -> Predict:
    return Predict("q1", "What runs?", reveal, why="A is pending.", **(kind or {"order": ["A", "B"]}))


def test_an_order_is_entered_by_buttons() -> None:
    question = asked()
    for words in ("A", "B", "B", "undo", "A"):
        press(find(question, words))
    assert "your answer: A B A" in shown(question)
    press(find(question, "commit"))
    assert "The code ran: A B (you said A B A). A is pending." in shown(question)
    assert kept_answers() == {"q1": [{"answer": ["A", "B", "A"], "outcome": ["A", "B"], "right": False}]}


def test_nothing_runs_before_there_is_an_answer() -> None:
    ran = []
    question = asked(lambda: ran.append("the code"))
    press(find(question, "commit"))
    assert "Enter an answer first" in shown(question)
    assert ran == []
    assert not Path(FILE).exists()


def test_an_answer_cannot_be_changed_after_the_reveal() -> None:
    question = asked()
    press(find(question, "A"))
    press(find(question, "commit"))
    assert all(one.disabled for one in everything(question) if isinstance(one, ipywidgets.Button))


def test_a_choice() -> None:
    question = asked(lambda: "none", choices=["node", "none"])
    assert question.answer() is None
    question._radio.value = "none"
    press(find(question, "commit"))
    assert "The code ran: none (as you said)." in shown(question)
    assert kept_answers()["q1"][0]["right"] is True


@pytest.mark.parametrize(("entered", "answer"), [("2", 2), (" -7 ", -7), ("two", None), ("", None)])
def test_a_number(entered: str, answer: int | None) -> None:
    question = asked(lambda: 2, number="runs")
    question._text.value = entered
    assert question.answer() == answer


def test_code_that_fails_is_no_answer() -> None:
    question = asked(lambda: 1 / 0, number="runs")
    question._text.value = "3"
    press(find(question, "commit"))
    assert "ZeroDivisionError: division by zero" in shown(question)
    assert not find(question, "commit").disabled
    assert kept_answers() == {}


def test_the_stored_picture_tells_the_question_and_not_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    question = asked(lambda: "none", choices=["a <b>", "none"])
    before, _ = displayed(question, monkeypatch)
    assert before["text/plain"] == "Predict: What runs? [a <b> | none]"
    assert "<li>a &lt;b&gt;</li>" in before["text/html"]
    question._radio.value = "none"
    press(find(question, "commit"))
    assert displayed(question, monkeypatch)[0]["text/html"] == before["text/html"]
    assert "pending" not in before["text/html"]


@pytest.mark.parametrize("kind", [{"number": "runs", "order": ["A"]}, {"choices": []}])
def test_a_question_has_one_kind_of_answer(kind: dict) -> None:
    with pytest.raises(ValueError, match="exactly one of"):
        asked(**kind)


def test_every_try_is_kept(own_folder: Path) -> None:
    keep_answer("q1", 1, 2)
    keep_answer("q2", "x", "x")
    keep_answer("q1", 2, 2)
    assert {name: [one["right"] for one in tries] for name, tries in kept_answers().items()} == {
        "q1": [False, True],
        "q2": [True],
    }
    assert [path.name for path in own_folder.iterdir()] == [FILE]


@pytest.mark.parametrize("content", ["{", "[1]", '{"q1": 7}'])
def test_a_damaged_file_is_not_overwritten(own_folder: Path, content: str) -> None:
    (own_folder / FILE).write_text(content)
    question = asked()
    press(find(question, "A"))
    press(find(question, "commit"))
    assert "The code ran: A B" in shown(question)
    assert f"could not be kept: {FILE}" in shown(question)
    assert (own_folder / FILE).read_text() == content


def test_the_file_is_json_that_a_person_can_read(own_folder: Path) -> None:
    keep_answer("一", ["甲"], ["甲"])
    text = (own_folder / FILE).read_text(encoding="utf-8")
    assert json.loads(text) == kept_answers()
    assert "甲" in text


# -------------------------------------------------------------------------------------------------- StructExplorer


def test_the_picture_follows_what_is_chosen() -> None:
    explorer = StructExplorer()
    explorer._kernel.value = "3.19"
    assert 'aria-label="struct kthread_worker of Linux 3.19, 40 bytes' in shown(explorer)
    explorer._name.value = "kthread_work"
    assert 'aria-label="struct kthread_work of Linux 3.19, 32 bytes' in shown(explorer)
    explorer._name.value = "kthread"  # 3.19 has no recording of it
    assert [kernel for _, kernel in explorer._kernel.options] == ["this", "6.18"]
    assert f"struct kthread of {kernel_struct('kthread', 'this').kernel}," in shown(explorer)


def test_the_stored_struct_is_the_recorded_one(monkeypatch: pytest.MonkeyPatch) -> None:
    still, _ = displayed(StructExplorer(), monkeypatch)
    assert still["text/plain"].startswith("struct kthread_worker of Linux 6.18, 56 bytes")
    assert struct_picture(kernel_struct("kthread_worker")).still in still["text/html"]


def test_a_dead_kernel_leaves_the_picture(live: LiveQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    still, view = displayed(live, monkeypatch)
    assert still["text/plain"] == live.picture().label
    assert live.picture().still in still["text/html"]
    assert "application/vnd.jupyter.widget-view+json" not in still
    assert "application/vnd.jupyter.widget-view+json" in view
    mark = still["text/html"].split('"')[1]
    assert shown(live).count(f"<style>.{mark}{{display:none}}</style>") == 1
    displayed(live, monkeypatch)
    assert shown(live).count("<style>.kwlab-") == 1
