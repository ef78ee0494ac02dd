"""`Verdict.explain()`: what was searched, why it failed, the interleaving as a table."""

from html.parser import HTMLParser

import pytest

from kwlab import (
    DEFINE_KTHREAD_WORK,
    TASK_INTERRUPTIBLE,
    KthreadWork,
    KthreadWorker,
    kthread_destroy_worker,
    kthread_flush_worker,
    kthread_init_worker,
    kthread_queue_work,
    kthread_run,
    kthread_run_worker,
    kthread_should_stop,
    kthread_stop,
    list_del_init,
    list_empty,
    schedule,
    set_current_state,
)
from kwlab.explore import Bug, Verdict, check, record
from kwlab.explore.depth_first import DepthFirst
from kwlab.explore.explain import ROWS, shown
from kwlab.explore.why import why
from kwlab.museum import EXHIBITS, exhibit


def looks_first(worker: KthreadWorker) -> int:
    """A worker's loop with its two most important lines the wrong way round."""
    while not kthread_should_stop():
        work = None
        with worker.lock:
            if not list_empty(worker.work_list):
                work = worker.work_list.next._container
                list_del_init(work.node)
        if work is not None:
            work.func(work)
            continue
        set_current_state(TASK_INTERRUPTIBLE)
        schedule()
    return 0


def queue_one() -> None:
    worker = KthreadWorker()
    kthread_init_worker(worker)
    worker.task = task = kthread_run(looks_first, worker, "demo")
    kthread_queue_work(worker, DEFINE_KTHREAD_WORK(nothing))
    kthread_flush_worker(worker)
    kthread_stop(task)


def nothing(work: KthreadWork) -> None: ...


def many_works() -> None:
    worker = kthread_run_worker(0, "demo")
    for _ in range(40):
        kthread_queue_work(worker, DEFINE_KTHREAD_WORK(nothing))
    kthread_destroy_worker(worker)
    raise AssertionError("the end")


def test_a_lost_wakeup_is_explained() -> None:
    verdict = check(queue_one, strategy=DepthFirst(2))
    assert verdict.bug is not None
    assert verdict.bug.kind == "lost wake-up"
    text = str(verdict.explain())
    trace = verdict.trace()
    lost = next(step for step in reversed(trace.steps) if "which is TASK_RUNNING: nothing happens" in step.sentence)
    announced = next(step for step in reversed(trace.steps) if step.sentence.startswith("demo announces its sleep (S)"))
    assert lost.index < announced.index
    # The numbers in the sentence are those of the steps that did it.
    said = " ".join(text.split())
    assert f"The wake-up of step {lost.index} found demo TASK_RUNNING and left nothing behind" in said
    assert f"announced its sleep after that, in step {announced.index}, and nobody wakes it again" in said
    assert "scenario queue_one" in said
    assert "memory model sequentially consistent" in said
    assert "data races not looked for" in said
    assert str(verdict.schedule) in text.split()
    assert "set_current_state(TASK_INTERRUPTIBLE)" in text
    assert "test_explain.py:" in text


@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.name)
def test_the_text_fits_a_hundred_columns(exhibit) -> None:  # type: ignore[no-untyped-def]
    trace = record(exhibit.wrong)
    verdict = Verdict(Bug("assertion", "made up"), "", schedule=list(trace.schedule), scenario=exhibit.wrong)  # type: ignore[arg-type]
    lines = str(verdict.explain()).splitlines()
    assert len(lines) > 20
    assert [line for line in lines if len(line) > 100 and "kw1-" not in line] == []
    assert [line for line in lines if line != line.rstrip()] == []
    table = lines[
        lines.index(next(line for line in lines if line.startswith("step "))) : lines.index("At the end:") - 1
    ]
    assert "" not in table


def test_preemptions_stand_out() -> None:
    verdict = check(exhibit("B8").wrong, strategy=DepthFirst())
    assert verdict.preemptions == 2
    lines = str(verdict.explain()).splitlines()
    marked = [line for line in lines if "is preempted here" in line]
    assert [line.strip("- ") for line in marked] == ["main is preempted here", "canceller is preempted here"]
    assert all(line.startswith("---- ---") for line in marked)


def test_a_long_interleaving_loses_its_least_telling_steps() -> None:
    trace = record(many_works)
    assert len(trace.steps) > 200
    rows = shown(trace)
    steps = [row for row in rows if not isinstance(row, int)]
    left_out = [row for row in rows if isinstance(row, int)]
    assert len(steps) + sum(left_out) == len(trace.steps) - 1
    assert len(steps) <= 2 * ROWS
    assert min(left_out) > 1
    indices = [step.index for step in steps]
    assert indices == sorted(indices)
    assert trace.steps[-1] in steps, "the end is where the bug is"
    assert trace.steps[1] in steps
    text = str(check(many_works, executions=1).explain())
    assert "steps left out" in text
    assert len(text.splitlines()) < 150


def test_no_preemption_is_left_out() -> None:
    schedule: list[int] = []
    while len(schedule) < 120:
        trace = record(many_works, schedule, stop=True)
        if len(trace.schedule) < len(schedule) or not trace.enabled:
            break
        others = [task for task in trace.enabled if not schedule or task != schedule[-1]]
        schedule.append((others or list(trace.enabled))[0])
    trace = record(many_works, schedule, stop=True)
    preempted = [step for step in trace.steps if step.preemption]
    assert len(preempted) > 20
    steps = {row.index for row in shown(trace, limit=len(preempted)) if not isinstance(row, int)}
    assert {step.index for step in preempted} <= steps


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("B2b", "queues a work for worker, whose sleep is announced, and wakes nobody: current_work still is work"),
        ("B10", "main frees the worker in step"),
        ("T1", "flush(_nothing) is linked into worker's delayed_work_list, where no thread looks for works"),
        ("T9", "on its work_list and no thread that could run it"),
        ("T8", "No preemption is needed"),
    ],
)
def test_reasons(name: str, reason: str) -> None:
    verdict = check(exhibit(name).wrong, strategy=DepthFirst(2), executions=3000)
    assert verdict.bug is not None
    assert reason in why(verdict.trace())


def test_a_verdict_without_a_bug_says_what_was_searched() -> None:
    def fine() -> None:
        kthread_stop(kthread_run(lambda data: 0, None, "short"))

    verdict = check(fine, strategy=DepthFirst())
    text = str(verdict.explain())
    assert text.startswith("no bug in all interleavings\n")
    assert f"searched     {verdict.executions} executions" in text
    assert "At the end" not in text
    with pytest.raises(ValueError, match="no interleaving to trace"):
        verdict.trace()


def test_no_text_holds_a_time() -> None:
    first, second = check(queue_one, strategy=DepthFirst(2)), check(queue_one, strategy=DepthFirst(2))
    assert first.seconds > 0
    first.seconds = 1234.5
    assert str(first) == str(second)
    assert first._repr_mimebundle_() == second._repr_mimebundle_()
    assert "1234" not in str(first) + repr(first.explain())


class Outline(HTMLParser):
    """The tags, checked to be balanced, and the table's cells."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[int] = []
        self.heads: list[dict[str, str | None]] = []
        self.captions = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            return
        self.open.append(tag)
        if tag == "tr":
            self.rows.append(0)
        if tag in ("td", "th"):
            self.rows[-1] += int(dict(attrs).get("colspan") or 1)
        if tag == "th":
            self.heads.append(dict(attrs))
        self.captions += tag == "caption"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_table_in_a_notebook_is_accessible() -> None:
    verdict = check(queue_one, strategy=DepthFirst(2))
    html = verdict._repr_mimebundle_()["text/html"]
    outline = Outline()
    outline.feed(html)
    assert outline.open == []
    assert outline.captions == 1
    assert all(head["scope"] in ("row", "col") for head in outline.heads)
    # Two columns of facts, then a table whose rows are all equally wide.
    assert set(outline.rows) == {2, 5}
    assert "is preempted here" in html, "said in words, not by looks alone"
    assert "<lambda>" not in html
