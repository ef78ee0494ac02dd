"""Explored answers: the referee does what they say. What they cannot do, and what a learner is told."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from grading import warm_grade

from kwlab.explore.trace_format import Trace
from kwlab.grade.answer import Answer
from kwlab.grade.exercise import Exercise, find, load
from kwlab.grade.mark import Mark
from kwlab.grade.reference import mutants, reference_answer

FIRST = find("first_fix")
MODULES = "builtins collections ctypes gc os signal socket struct sys threading time".split()
LOST = "test_the_work_gets_its_run"


def marked(body: str, exercise: Exercise = FIRST, top: str = "") -> Mark:
    """The mark of first_fix with this body for queue_one."""
    lines = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    part = f"# first_fix, part 1\n{top}\n\ndef queue_one(worker, work):\n{lines}\n"
    return warm_grade(exercise, Answer("first_fix", {1: part, 2: reference_answer(FIRST).parts[2]}))


@pytest.fixture
def open_wide(tmp_path: Path) -> Exercise:
    """first_fix with an allow-list that lets everything through: what stands behind it is seen at work."""
    for name in ("grader.py", "exercise.toml"):
        (tmp_path / name).write_text((FIRST.folder / name).read_text())
    table = (tmp_path / "exercise.toml").read_text()
    imports = "\n".join(f'{name} = ["*"]' for name in MODULES)
    (tmp_path / "exercise.toml").write_text(table.replace("[[parts]]", f"[imports]\n{imports}\n\n[[parts]]", 1))
    return load(tmp_path)


HOSTILE = {
    "says that it has returned": "return True",
    "leaves": "raise SystemExit(0)",
    "ends its process": "os._exit(0)",
    "talks to the referee itself": """
        while True:
            os.write(3, struct.pack('!I', 30) + b'{"value": {"returned": ["NoneType", null]}}'[:30])
        """,
    "says nonsense": "standin._talk({'step': ['get', ['thing', 10**9], 'lock'], 'place': None})",
    "says no step": "standin._talk({'step': 'all is well', 'place': [1, 2]})",
    "reaches for the runtime": "worker.task.runtime.live.clear()",
    "reaches for a class": "reach(worker, '__' + 'class__').work_list = None",
    "patches kwlab": """
        sys.modules['kwlab.explore.engine'].search = None
        sys.modules['kwlab.grade.explored'].Found.excludes = lambda *a: None
        sys.modules['kwlab.grade.referee'].Referee.mark = lambda *a: None
        """,
    "patches the stand-ins": """
        set_anything(standin.Thing, '__' + 'enter__', lambda *a: None)
        with worker.lock:
            list_add_tail(work.node, worker.work_list)
        """,
    "calls what it was not given": "standin._Given('exec')('1')",
    "fills the referee's memory": "standin._Given('kthread_stop')('%999999999d')",
    "sends a large number": "worker.current_work = 10**400",
    "does another thing each time": """
        counted.append(1)
        for _ in counted:
            worker.current_work
        """,
    "hands over a text that is a format": "standin._Given('kthread_run')(queue_one, worker, '%s%s%s%n')",
    "borrows a thing of an earlier call": """
        counted.append(worker)
        with counted[0].lock:
            list_add_tail(work.node, counted[0].work_list)
        """,
    "sends a list in a list in a list": "standin._Given('kthread_stop')([[[[[[worker]]]]]])",
    "hands over a number of its own making": """
        class Number(int):
            def __eq__(self, other):
                return True
        worker.flags = Number(1)
        """,
    "hands over what says that it is a thing": """
        class Fake:
            def __getattr__(self, name):
                return 0
        set_anything(Fake, '__class__', property(lambda self: standin.Thing))
        worker.current_work = Fake()
        """,
    "goes round and round": "while True:\n    worker.current_work",
    "spins": "while True:\n    pass",
    "reads the grader": "os.open('grader.py', os.O_RDONLY)",
    "forks": "os.fork()",
    "bends the list": "worker.work_list.next = worker.work_list.prev = work.node",
    "catches everything": """
        while True:
            try:
                with worker.lock:
                    pass
            except BaseException:
                pass
        """,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_answer_gains_a_point_behind_the_allow_list(name: str, open_wide: Exercise) -> None:
    top = f"import {', '.join(MODULES)}\nstandin = sys.modules['kwlab.grade.standin']\ncounted = []\n"
    top += "reach, set_anything = builtins.getattr, builtins.setattr\n"
    mark = marked(HOSTILE[name], open_wide, top)
    assert mark.problems == ()
    assert mark.part_points(1) == 0, mark.text()
    assert mark.part_points(2) == 4, mark.text()


def test_a_right_answer_behind_the_allow_list_has_its_points(open_wide: Exercise) -> None:
    assert warm_grade(open_wide, reference_answer(FIRST)).solved


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("worker.lokc", "a KthreadWorker has no field `lokc`"),
        ("worker.lock = 5", "`lock` of a KthreadWorker is part of it"),
        ("worker()", "a KthreadWorker cannot be called"),
        ("with work:\n    pass", "`with` is for locks, and this is a KthreadWork"),
        ("worker.current_work = 3.5", "a float cannot be handed to the kernel here"),
        ("work.func = lambda work: None", "a function that is not at the left margin"),
        ("list_add_tail(new=work.node, head=worker.work_list)", "takes its arguments by position here"),
        ("list_add_tail(work.node)", "missing 1 required positional argument"),
        ("undefined", "NameError: name 'undefined' is not defined (part 1, line 5: `undefined`)"),
        ("while True:\n    worker.current_work", "goes round and round"),
    ],
)
def test_what_is_wrong_is_said_in_the_learners_words(body: str, said: str) -> None:
    score = marked(body).score(LOST)
    assert score.outcome == "failed"
    assert said in score.came + score.message


def test_a_failing_interleaving_is_a_trace_with_the_learners_lines() -> None:
    mutant = next(mutant for mutant in mutants(FIRST) if mutant.name == "wake_before_the_lock")
    mark = warm_grade(FIRST, mutant.answer)
    score = mark.score(LOST)
    assert score.came.startswith("lost wake-up: worker sleeps with 1 work queued")
    trace = Trace.from_dict(score.evidence)
    assert trace.bug is not None
    assert trace.bug.kind == "lost wake-up"
    lines = [step.place.text for step in trace.steps if step.place and step.place.function == "queue_one"]
    assert lines == ["wake_up_process(worker.task)", "with worker.lock:"]
    assert sum(step.preemption for step in trace.steps) <= 1
    assert mark.player(LOST) is not None
    assert ".player()" in mark.text()
    assert Mark.from_dict(mark.to_dict()) == mark


def test_a_mark_without_interleavings_has_none_to_show() -> None:
    with pytest.raises(LookupError, match="nothing failed in one"):
        warm_grade(FIRST, reference_answer(FIRST)).player()


def test_the_mark_says_what_was_searched() -> None:
    mark = warm_grade(FIRST, reference_answer(FIRST))
    assert len(mark.remarks) == 3
    assert all(remark.startswith("Searched all interleavings (") for remark in mark.remarks)
    looked = "sequentially consistent memory, data races looked for in each"
    assert all(looked in remark for remark in mark.remarks)


def test_a_barrier_is_looked_for_under_a_memory_that_needs_it() -> None:
    loop = find("worker_loop")
    mutant = next(mutant for mutant in mutants(loop) if mutant.name == "plain_store")
    mark = warm_grade(loop, mutant.answer)
    assert [score.name for score in mark.scores if score.outcome == "failed"] == [mutant.test]
    assert Trace.from_dict(mark.score(mutant.test).evidence).bug is not None
    (remark,) = [remark for remark in mark.remarks if "total store order memory" in remark]
    assert "Searched all interleavings (" in remark
    assert "complete_loop()" in remark


def test_a_referee_starts_without_what_only_notebooks_need() -> None:
    code = (
        "import sys, runpy, pathlib, kwlab.grade.referee\n"
        "for file in sorted(pathlib.Path('exercises').glob('*/grader.py')): runpy.run_path(str(file))\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    root = Path(__file__).resolve().parent.parent
    loaded = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout
    assert "'kwlab'" in loaded
    slow = "nbformat nbclient jsonschema matplotlib numpy IPython ipykernel ipywidgets jupyter_client rich typer click"
    assert [name for name in slow.split() if f"'{name}'" in loaded] == []
