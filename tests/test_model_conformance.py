"""Every recorded scenario under the model: the same answers in every interleaving, as far as the table says."""

from pathlib import Path

import pytest

from kwlab.explore import conformance
from kwlab.explore.conformance import SCALED, play_under_the_model
from kwlab.museum import Edit, exhibit, make_variant
from kwlab.runtime.model_clock import ModelClock
from kwlab.scenario import runner, stage
from kwlab.scenario.conformance import further, recorded
from kwlab.scenario.load import load, parse

WHOLE = "all interleavings"
ONE_OF_A_KIND = "all interleavings, up to the order of steps that cannot notice each other"
# What is reached in at most so many executions, for each scenario that is not searched whole in 160. Seven workers that
# start on their own have more states than there is time to visit; but what they do does not collide.
REACHED = {
    "o_open": (ONE_OF_A_KIND, 1),
    "o_run": (ONE_OF_A_KIND, 1),
    "o_close": (ONE_OF_A_KIND, 12),
    "v1_count": (WHOLE, 1_209),
}
DEAR = "v1_count"  # many seconds
APPLICABLE = [file for file in [*recorded(), *further()] if not load(file).not_applicable]


def reaches(name: str) -> None:
    guarantee, most = REACHED.get(name, (WHOLE, 160))
    verdict = play_under_the_model(load(scenario(name)), executions=most)
    assert verdict.ok, verdict.explain()
    assert verdict.guarantee == guarantee


@pytest.mark.parametrize("name", [file.stem for file in APPLICABLE if file.stem != DEAR])
def test_a_scenario_agrees_in_every_interleaving(name: str) -> None:
    reaches(name)


def test_the_dear_one_agrees_in_every_interleaving_but_for_orders_that_nobody_notices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conformance, "FEW", 0)
    verdict = play_under_the_model(load(scenario(DEAR)), executions=120)
    assert verdict.ok, verdict.explain()
    assert verdict.guarantee == ONE_OF_A_KIND


@pytest.mark.slow
def test_the_dear_one_agrees_in_every_interleaving() -> None:
    reaches(DEAR)


def scenario(name: str) -> Path:
    (file,) = [file for file in APPLICABLE if file.stem == name]
    return file


@pytest.mark.parametrize(
    ("name", "edits", "differs"),
    [
        ("e_fifo", (Edit("    list_add_tail(node, pos)\n", "    list_add(node, pos)\n"),), "order"),
        (
            "h2_cancel_pending",
            (Edit("    return was_pending\n\n\ndef _cancel_delayed", "    return False\n\n\ndef _cancel_delayed"),),
            "step",
        ),
        (
            "create_does_not_start",
            (Edit("    worker.task = task\n", "    worker.task = task\n    _started(worker)\n"),),
            "step",
        ),
        ("busy_worker_is_not_woken", exhibit("B2").edits, "step"),
    ],
)
def test_a_wrong_worker_disagrees(name: str, edits: tuple[Edit, ...], differs: str) -> None:
    verdict = play_under_the_model(load(scenario(name)), make_variant(f"{name} wrong", edits), executions=300)
    assert verdict.bug is not None
    assert verdict.bug.kind == "assertion"
    assert differs in verdict.bug.sentence
    assert "expected" in str(verdict.explain())


def test_what_only_one_interleaving_shows_is_found() -> None:
    """With B2b a wake-up is skipped if the queueing comes at the wrong moment: real threads hardly ever meet it."""
    wrong = make_variant("B2b", exhibit("B2b").edits)
    found = [
        play_under_the_model(load(scenario(name)), wrong, executions=400) for name in ("c_requeue_running", "e_fifo")
    ]
    assert any(verdict.bug is not None for verdict in found)


LATE = (
    Edit("        me.set_current_state(TASK_INTERRUPTIBLE)\n\n        if requests", "        if requests"),
    Edit(
        "        work, lock = None, worker.lock\n        lock",
        "        me.set_current_state(TASK_INTERRUPTIBLE)\n        work, lock = None, worker.lock\n        lock",
    ),
)


def test_among_seven_workers_too() -> None:
    """A worker that announces its sleep behind the question about stop may sleep for ever: also the last of seven."""
    wrong = make_variant("late announcement", LATE)
    verdict = play_under_the_model(load(scenario("o_close")), wrong, executions=12)
    assert verdict.bug is not None
    assert "hang" in verdict.bug.sentence


HEAD = """\
scenario: two of them
about: Answers that depend on who comes first.
source: nowhere
workers: {A: {}, B: {}}
works: {V: {}, W: {}}
before:
  - settle()
"""
# Whose answers another order would change, though no two operations collide: what they change and look at is the
# scenario's own.
OPEN = {
    "order": "steps:\n  - one kthread_queue_work(V, A): true\n  - two kthread_queue_work(W, B): true\norder: [W, V]\n",
    "check_runs": "steps:\n  - kthread_queue_work(V, A): true\n  - check_runs(V): 0\norder: [V]\n",
}


@pytest.mark.parametrize("what", OPEN)
def test_orders_that_only_the_answers_notice_are_played(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance, "FEW", 0)
    verdict = play_under_the_model(parse(HEAD + OPEN[what]), executions=100)
    assert verdict.bug is not None
    assert what in verdict.bug.sentence
    monkeypatch.setattr(stage, "about_to_note", lambda runtime: None)
    monkeypatch.setattr(runner, "about_to_look", lambda runtime: None)
    assert play_under_the_model(parse(HEAD + OPEN[what]), executions=100).ok


def test_counting_is_scaled_down_and_says_so() -> None:
    verdict = play_under_the_model(load(scenario("v1_count")), executions=20)
    assert verdict.notes == [f"actors repeat their calls at most {SCALED} times, not as often as the file says"]
    assert play_under_the_model(load(scenario("a_queue_idle")), executions=20).notes == []


def test_a_main_thread_that_never_ends_is_no_agreement(monkeypatch: pytest.MonkeyPatch) -> None:
    from kwlab.explore import quiet

    monkeypatch.setattr(quiet.Quiet, "ready", lambda self: False)
    verdict = play_under_the_model(load(scenario("a_queue_idle")), executions=20)
    assert verdict.bug is not None
    assert "never came to its end" in verdict.bug.sentence


def test_time_is_the_scenarios_own() -> None:
    class Runtime:
        running = None

        def new_key(self) -> int:
            return 0

        def aside(self, op: int, target: object) -> None:
            pass

    clock = quiet_clock(Runtime())
    fired: list[int] = []
    clock.expires, clock.interrupt = 5, fired.append
    clock.step(4)
    assert (clock.now, fired) == (4, [])
    clock.step(3)
    assert (clock.now, fired) == (7, [5])


def quiet_clock(runtime: object) -> ModelClock:
    from kwlab.explore.quiet import SteppedModelClock

    return SteppedModelClock(runtime)  # type: ignore[arg-type]
