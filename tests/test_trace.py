"""Traces: one execution, step by step, as the pictures and the explanations read it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from kwlab import (
    DEFINE_KTHREAD_WORK,
    TASK_INTERRUPTIBLE,
    KthreadWork,
    KthreadWorker,
    Struct,
    Worker,
    complete,
    init_completion,
    kthread_cancel_work_sync,
    kthread_destroy_worker,
    kthread_flush_work,
    kthread_flush_worker,
    kthread_init_work,
    kthread_init_worker,
    kthread_queue_delayed_work,
    kthread_queue_work,
    kthread_run,
    kthread_run_worker,
    kthread_stop,
    raw_spin_lock_init,
    schedule,
    set_current_state,
    wait_for_completion,
)
from kwlab.explore import Options, ScheduleError, Trace, check, join, record, replay
from kwlab.explore.trace_format import TaskState, Wakeup, WorkerState
from kwlab.museum import EXHIBITS, exhibit
from kwlab.runtime.base import probes
from kwlab.runtime.model_objects import ModelSpinLock, ModelTask
from kwlab.worker import DEFINE_KTHREAD_DELAYED_WORK


def squeeze(work: KthreadWork) -> None: ...


def press(work: KthreadWork) -> None: ...


def two_works() -> None:
    worker = kthread_run_worker(0, "demo")
    for function in (squeeze, press, squeeze):
        kthread_queue_work(worker, DEFINE_KTHREAD_WORK(function))
    kthread_destroy_worker(worker)


def lost_wakeup() -> None:
    """A loop that looks first and announces second."""
    lock, work_list, done, over = raw_spin_lock_init("lock"), [1], init_completion("done"), init_completion("over")

    def loop(data: object) -> None:
        while True:
            with lock:
                found = bool(work_list and work_list.pop())
            if found:
                done.complete()
                over.wait()
                return
            set_current_state(TASK_INTERRUPTIBLE)
            schedule()

    work_list.clear()
    task = kthread_run(loop, None, "loop")
    with lock:
        work_list.append(1)
    task.wake_up(TASK_INTERRUPTIBLE)
    done.wait()
    over.complete()
    join(task)


def named(trace: Trace, name: str) -> int:
    (task,) = [task.id for task in trace.tasks if task.name == name]
    return task


def sentences(trace: Trace) -> list[str]:
    return [step.sentence for step in trace.steps]


@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.name)
def test_a_trace_survives_json(exhibit: Any) -> None:
    trace = record(exhibit.wrong)
    assert len(trace.steps) > 3
    stored = json.loads(json.dumps(trace.to_dict()))
    assert stored["format"] == "kwlab-trace 1"
    assert Trace.from_dict(stored) == trace


def test_a_completion_whose_name_is_several_words_is_quoted() -> None:
    def scenario() -> None:
        complete(init_completion())
        wait_for_completion(init_completion("A has run"))

    verdict = check(scenario)
    assert verdict.bug is not None
    assert verdict.bug.sentence == 'main waits for completion "A has run"'
    trace = verdict.trace()
    assert trace.steps[-1].state.tasks[0].doing == 'waits for completion "A has run"'
    assert sentences(trace)[-1].endswith('waits for completion "A has run"')


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "no trace of the format 'kwlab-trace 1': its mark is None"),
        ({"format": "kwlab-trace 9"}, "its mark is 'kwlab-trace 9'"),
        ([1], r"its mark is \[1\]"),
        ({"format": "kwlab-trace 1", "scenario": "s"}, "damaged: KeyError: 'schedule'"),
        ({"format": "kwlab-trace 1", "schedule": 7, "scenario": "s"}, "damaged: TypeError"),
    ],
)
def test_what_is_no_trace_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Trace.from_dict(given)


def test_a_trace_of_a_schedule_shows_its_bug() -> None:
    verdict = check(lost_wakeup)
    assert verdict.bug is not None
    trace = record(lost_wakeup, verdict.schedule)
    assert trace.bug is not None
    assert (trace.bug.kind, trace.bug.sentence) == (verdict.bug.kind, verdict.bug.sentence)
    assert list(trace.schedule) == verdict.schedule == [step.task for step in trace.steps[1:]]
    end = trace.steps[-1].state.tasks
    assert end[named(trace, "main")].doing == "waits for completion done"
    assert (end[named(trace, "loop")].state, end[named(trace, "loop")].doing) == ("S", "sleeps")
    # What happened, as a learner reads it: the wake-up came before the announcement.
    told = sentences(trace)
    lost = next(n for n, words in enumerate(told) if "which is TASK_RUNNING: nothing happens" in words)
    announced = next(n for n, words in enumerate(told) if words.startswith("loop announces its sleep"))
    assert lost < announced
    assert trace.steps[lost].place is not None
    assert trace.steps[lost].place.text == "task.wake_up(TASK_INTERRUPTIBLE)"
    assert trace.steps[lost].place.function == "lost_wakeup"
    assert trace.steps[lost].place.file == "test_trace.py"


def test_recording_changes_nothing_and_repeats_exactly() -> None:
    for one in EXHIBITS:
        first = record(one.wrong)
        assert list(first.schedule) == replay(one.wrong, list(first.schedule)).schedule
        assert record(one.wrong, first.schedule) == first


def test_the_thread_baton_gives_the_same_trace() -> None:
    assert record(two_works, options=Options(backend="thread")) == record(two_works)


def test_every_place_stands_in_the_sources() -> None:
    trace = record(two_works)
    places = [task.place for step in trace.steps for task in step.state.tasks.values() if task.place]
    assert {place.function for place in places} >= {"kthread_worker_fn", "kthread_queue_work"}
    for place in places:
        source = trace.sources[place.file][place.function]
        assert source.lines[place.line - source.first].strip() == place.text
        assert "/" not in place.file
    assert "runtime" not in str(trace.sources.keys())


def check_against_the_runtime(scenario: Callable[[], object]) -> Trace:
    """The trace of `scenario`, each state compared with what the primitives say while the execution runs."""
    seen: list[tuple[dict[str, tuple[str, ...]], dict[str, str]]] = []

    def watch(runtime: Any) -> None:
        choose = runtime.choose

        def choosing(enabled: list[ModelTask], me: ModelTask) -> ModelTask | None:
            held = {task.name: tuple(lock.name for lock in task.held) for task in runtime.live}
            waits = {
                task.name: task.target.name
                for task in runtime.live
                if isinstance(task.target, ModelSpinLock) and task.target.owner not in (None, task)
            }
            seen.append((held, waits))
            chosen: ModelTask | None = choose(enabled, me)
            return chosen

        runtime.choose = choosing

    trace = record(scenario, options=Options(prepare=watch))
    for step, (held, waits) in zip(trace.steps, seen, strict=False):
        for number, task in step.state.tasks.items():
            name = trace.name_of(number)
            assert task.held == held.get(name, ())
            assert task.doing.startswith("waits for lock " + waits[name]) if name in waits else "lock" not in task.doing
    assert len(seen) >= len(trace.steps) - 1
    return trace


def test_locks_are_told_as_they_are() -> None:
    check_against_the_runtime(two_works)
    check_against_the_runtime(lost_wakeup)


def test_a_task_that_waits_for_a_lock_names_its_holder() -> None:
    def scenario() -> None:
        lock = raw_spin_lock_init("big")

        def other(data: object) -> None:
            with lock:
                pass

        with lock:
            task = kthread_run(other, None, "other")
            assert task.state is not None  # a look: one more step with the lock held
        join(task)

    # main holds the lock and wakes the other, which starts and runs into it.
    trace = record(scenario, [0, 0, 1, 1, 1, 1, 1], stop=True)
    other = trace.steps[-1].state.tasks[1]
    assert (other.doing, other.state) == ("waits for lock big held by main", "R")
    assert trace.steps[-1].sentence.endswith("now it waits for big, held by main")
    assert trace.enabled == (0,)
    assert trace.bug is None


def test_the_states_of_a_worker() -> None:
    trace = record(two_works)
    workers = [step.state.workers for step in trace.steps]
    assert workers[0] == (WorkerState("demo", task=1),)
    full = WorkerState("demo", task=None, work_list=("squeeze", "press", "squeeze#2", "flush(demo)"))
    assert any(one and one[0].work_list == full.work_list for one in workers)
    held = next(step for step in trace.steps if step.sentence.startswith("main takes demo.lock"))
    assert held.state.workers[0].lock_holder == 0
    assert held.state.workers[0].work_list == ("squeeze",)
    running = next(step for step in trace.steps if "calls press" in step.sentence)
    assert running.state.workers[0].current_work == "press"
    assert workers[-1][0].freed


def test_preemption_is_marked_and_said() -> None:
    schedule = list(record(two_works, stop=True, schedule=[0]).schedule)
    assert schedule == [0]
    # Once it is woken the worker could run, and is given the step although main could go on.
    trace = record(two_works, [0, 1])
    step = trace.steps[2]
    assert step.preemption
    assert step.enabled == (0, 1)
    assert step.sentence.startswith("main is preempted here: demo starts to run")
    assert step.state.tasks[0].doing == "preempted"
    assert step.state.tasks[1].doing == "runs"
    assert sum(step.preemption for step in trace.steps) == 1
    assert not any(step.preemption for step in record(two_works).steps)


def test_a_wakeup_on_its_way() -> None:
    trace = record(two_works)
    step = next(step for step in trace.steps if step.sentence.startswith("main takes demo.lock"))
    assert step.state.wakeup_in_flight == (Wakeup(by=0, task=1),)
    assert trace.steps[-1].state.wakeup_in_flight == ()


def test_a_task_that_was_never_woken_and_one_that_ended() -> None:
    def scenario() -> None:
        kthread_stop(kthread_run(lambda data: None, None, "short"))

    trace = record(scenario)
    assert trace.steps[0].state.tasks[1] == TaskState("D", "never woken")
    assert trace.steps[-1].state.tasks[1] == TaskState("X", "exited")


def test_labels() -> None:
    class Request(Struct):
        __slots__ = ("name", "work")
        name: str
        work: KthreadWork

    def scenario() -> None:
        worker = KthreadWorker()
        kthread_init_worker(worker)
        request = Request()
        request.name = "request 7"
        kthread_init_work(request.work, squeeze)
        delayed = DEFINE_KTHREAD_DELAYED_WORK(press)
        kthread_queue_work(worker, request.work)
        kthread_queue_work(worker, DEFINE_KTHREAD_WORK(lambda work: None))
        kthread_queue_delayed_work(worker, delayed, 1)
        task = kthread_run(wait_then_run, worker, "late")
        kthread_flush_work(request.work)
        kthread_flush_worker(worker)
        kthread_stop(task)

    from kwlab import kthread_worker_fn as wait_then_run

    trace = record(scenario)
    lists = {one.work_list for step in trace.steps for one in step.state.workers}
    assert ("request 7", "work") in lists
    assert ("request 7", "flush(request 7)", "work") in lists
    assert any("flush(worker)" in names for names in lists)
    assert any(one.delayed_work_list == ("press",) for step in trace.steps for one in step.state.workers)


def test_a_bug_in_the_middle_of_a_step_names_its_line() -> None:
    def recursive() -> None:
        lock = raw_spin_lock_init("lock")
        with lock:
            with lock:  # the second time
                pass

    trace = record(recursive)
    assert trace.bug is not None
    assert trace.bug.kind == "recursive lock"
    failed = trace.steps[-1].state.tasks[0]
    assert failed.doing == "failed"
    assert failed.place is not None
    assert failed.place.text == "with lock:  # the second time"

    freed = record(exhibit("T8").wrong)
    assert freed.bug is not None
    assert "(in _cancel_work_sync(), worker.py:" in freed.bug.sentence


def test_events_carry_labels() -> None:
    events = [event for step in record(two_works).steps for event in step.events]
    queued = [event.fields for event in events if event.name == "sched_kthread_work_queue_work"]
    assert queued[0] == {"work": "squeeze", "function": "squeeze", "worker": "demo"}
    assert [fields["work"] for fields in queued] == ["squeeze", "press", "squeeze#2", "flush(demo)"]
    started = [event.fields["work"] for event in events if event.name == "sched_kthread_work_execute_start"]
    assert started == ["squeeze", "press", "squeeze#2", "flush(demo)"]


def test_a_schedule_that_does_not_fit_is_refused_and_nothing_stays_behind() -> None:
    before = list(probes)
    with pytest.raises(ScheduleError, match="step 1 wants task 5"):
        record(two_works, [5])
    with pytest.raises(ScheduleError, match="everything was over after"):
        record(two_works, [*record(two_works).schedule, 0])
    assert probes == before


def test_live_workers_do_not_appear_in_a_trace() -> None:
    with Worker("live") as live:
        started, go = init_completion("started"), init_completion("go")
        live.queue(lambda: (started.complete(), go.wait()))
        started.wait()
        trace = record(two_works)
        go.complete()
    assert {task.name for task in trace.tasks} == {"main", "demo"}
    assert all(event.fields.get("name") != "live.lock" for step in trace.steps for event in step.events)


def test_time_and_the_timer_are_told() -> None:
    def scenario() -> None:
        worker = kthread_run_worker(0, "demo")
        delayed = DEFINE_KTHREAD_DELAYED_WORK(squeeze)
        kthread_queue_delayed_work(worker, delayed, 5)
        kthread_flush_worker(worker)
        if kthread_cancel_work_sync(delayed.work):
            return
        kthread_destroy_worker(worker)

    trace = record(scenario)
    (device,) = [task for task in trace.tasks if task.device]
    states = [step.state.tasks[device.id].doing for step in trace.steps if device.id in step.state.tasks]
    assert "armed" in states
    passed = [step for step in trace.steps if step.sentence == "time passes: it is 5 jiffies now"]
    assert [step.state.now for step in passed] == [5]
    assert {step.state.now for step in trace.steps} == {0, 5}
