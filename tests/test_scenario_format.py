"""The scenario format: what is not understood is an error that says where, what is wrong, and what is allowed."""

from pathlib import Path

import pytest

from kwlab.scenario.conformance import further, recorded
from kwlab.scenario.language import FIELDS, OPERATIONS
from kwlab.scenario.load import ScenarioError, load, parse

GOOD = """
scenario: good
workers:
  A: {}
  E: {made_by: kthread_init_worker}
works:
  W: {}
  B: {gated: true}
  D:
    delayed: true
    body:
      1:
        - kthread_queue_delayed_work(D, A, 20): true
steps:
  - kthread_queue_work(W, A): true
  - act1 kthread_flush_work(W): void
  - blocked(act1): false
  - state_work(W): {worker: A}
order: [W]
"""


def test_the_good_one_is_read() -> None:
    scenario = parse(GOOD)
    assert [call.text for call in scenario.steps] == [
        "kthread_queue_work(W, A)",
        "act1 kthread_flush_work(W)",
        "blocked(act1)",
        "state_work(W)",
    ]
    assert [call.number for call in scenario.steps] == [1, 2, 3, 4]
    assert [call.by for call in scenario.steps] == ["main", "act1", "main", "main"]
    assert scenario.steps[1].compared
    assert scenario.steps[1].answer is None
    assert scenario.workers["A"].made_by == "kthread_run_worker"
    assert scenario.works["D"].runs[1][0].arguments == ("D", "A", 20)
    assert scenario.trace is None


STEP = "  - kthread_queue_work(W, A): true\n"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        # the file
        (GOOD, "- a list", ["the file: is ['a list']", "a mapping is needed"]),
        (GOOD, "a: [b", ["line 1", "no YAML"]),
        (GOOD, "a: 2024-13-45", ["no YAML", "month"]),
        (GOOD, "{[a]: 1}", ["a key must be plain text"]),
        ("order: [W]", "order: [W]\norder: [W]", ["'order' is there twice"]),
        ("order: [W]", "ordre: [W]", ["unknown key 'ordre'", "allowed:", "order"]),
        ("order: [W]", "", ["'order' is missing"]),
        ("scenario: good", "", ["scenario: is None", "text is needed"]),
        ("order: [W]", "order: W", ["order: is 'W'", "a list is needed"]),
        ("order: [W]", "order: [V]", ["order: unknown name 'V'", "works: B, D, W"]),
        ("order: [W]", "order: [W]\ntrace: [qeue W]", ["'qeue W' is no event", "queue, start, end"]),
        ("order: [W]", "order: [W]\nnot_applicable: no", ["stands alone"]),
        # workers and works
        ("A: {}", "A: {made_by: magic}", ["worker A", "made_by 'magic'", "kthread_create_worker"]),
        ("A: {}", "A: {flags: 7}", ["worker A", "flags 7", "KTW_FREEZABLE"]),
        ("A: {}", "A: {sched: rr}", ["worker A", "sched 'rr'", "fifo_low"]),
        ("A: {}", "A: {cpu: -1}", ["worker A, cpu", "-1", "whole number from 0"]),
        ("A: {}", "A: {colour: red}", ["worker A", "unknown key 'colour'", "made_by"]),
        ("{made_by: kthread_init_worker}", "{made_by: kthread_init_worker, cpu: 0}", ["worker E", "embedded"]),
        ("B: {gated: true}", "B: {gated: 1}", ["work B", "gated is 1", "true, false"]),
        ("      1:\n", "      first:\n", ["work D, body", "'first' is no run", "1, 2, 3"]),
        ("      1:\n", "      every:\n", ["work D, body, every, call 1", "nothing is compared here"]),
        ("(D, A, 20): true", "(D, A, 20)", ["work D, body, run 1, call 1", "has no answer"]),
        ("kthread_queue_delayed_work(D, A, 20): true", "open_gate(B)", ["run 1, call 1", "cannot be said here"]),
        # steps
        (STEP, "  - kthread_queue_wrk(W, A): true\n", ["step 1", "did you mean kthread_queue_work?", "allowed:"]),
        (STEP, "  - queue W\n", ["step 1 (queue W)", "is no step", "operation(arguments)"]),
        (STEP, "  - 7\n", ["step 1 (7)", "is no step"]),
        (STEP, "  - kthread_queue_work(W, A)\n", ["step 1", "has no answer", "true or false"]),
        (STEP, "  - kthread_queue_work(W, A): 1\n", ["step 1", "answers 1", "true or false"]),
        (STEP, "  - kthread_queue_work(W): true\n", ["step 1", "1 arguments", "kthread_queue_work(work, worker)"]),
        (STEP, "  - kthread_queue_work(V, A): true\n", ["step 1", "unknown name 'V'", "works: B, D, W"]),
        (STEP, "  - kthread_queue_work(W, B): true\n", ["step 1", "unknown name 'B'", "workers: A, E"]),
        (STEP, "  - kthread_queue_delayed_work(W, A, 5): true\n", ["W is no delayed work", "delayed: true"]),
        (STEP, "  - kthread_queue_delayed_work(D, A, -5): true\n", ["'-5' is no number of jiffies"]),
        (STEP, "  - blocked(act1): true\n", ["step 1", "unknown name 'act1'", "actors"]),
        (STEP, "  - open_gate(W)\n", ["step 1", "W has no gate", "gated: true"]),
        (STEP, "  - kthread_run(A)\n", ["step 1", "A is made with a thread", "kthread_init_worker"]),
        (STEP, "  - kthread_destroy_worker(E)\n", ["step 1", "E is embedded"]),
        (STEP, "  - settle(): true\n", ["step 1", "settle has no answer"]),
        (STEP, "  - rescue(A, todo_list): []\n", ["unknown name 'todo_list'", "work_list"]),
        (STEP, "  - act1 settle()\n", ["step 1", "settle cannot be said here", "main"]),
        (STEP, "  - 3 times kthread_queue_work(W, A)\n", ["step 1", "3 times", "only an actor"]),
        (STEP, "  - act1 3 times kthread_queue_work(W, A): true\n", ["step 1", "nothing is compared"]),
        (STEP, "  - kfree(W)\n", ["step 1", "kfree cannot be said here", "body"]),
        (STEP, "  - check_runs(W): {one_of: [1, x]}\n", ["step 1", "answers 'x'"]),
        (STEP, "  - state_thread(A): Q\n", ["step 1", "answers 'Q'"]),
        ("{worker: A}", "{wroker: A}", ["step 4", "unknown key 'wroker'", "node_empty"]),
        ("{worker: A}", "{}", ["step 4", "answers {}"]),
    ],
)
def test_an_error_says_where_what_and_what_is_allowed(old: str, new: str, words: list[str]) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(ScenarioError) as caught:
        parse(GOOD.replace(old, new), "my.yaml")
    message = str(caught.value)
    assert message.startswith("my.yaml:")
    assert [word for word in words if word not in message] == [], message
    assert "\n" not in message
    assert len(message) < 1200


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"^nowhere\.yaml: cannot be read: No such file"):
        load(tmp_path / "nowhere.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"scenario: \xe9")
    with pytest.raises(ScenarioError, match=r"^latin\.yaml: cannot be read"):
        load(tmp_path / "latin.yaml")


def test_every_word_of_the_language_is_used_by_a_shipped_scenario() -> None:
    used = set()
    for path in recorded() + further():
        scenario = load(path)
        used |= {call.operation.name for call in scenario.before + scenario.steps}
        for work in scenario.works.values():
            used |= {call.operation.name for calls in (*work.runs.values(), work.every) for call in calls}
    # For scenarios of one's own; test_conformance.py plays it.
    assert OPERATIONS.keys() - used == {"kthread_init_worker"}


def test_every_answer_that_is_a_mapping_has_its_fields() -> None:
    assert FIELDS.keys() == {name for name, operation in OPERATIONS.items() if operation.answer == "fields"}
