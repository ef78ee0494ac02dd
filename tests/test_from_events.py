"""Recorded traces, of a real kernel and of kwlab's threads, as traces that the Player plays."""

import pytest

from kwlab import Worker, from_events, record
from kwlab.explore.trace_format import Trace
from kwlab.trace.reader import TraceReader
from kwlab.trace.recorded import recorded_trace, recorded_traces
from kwlab.tracepoint import Event


def recorded(name: str) -> Trace:
    return from_events(TraceReader(recorded_trace(name), strict=True), name)


def test_the_queue_of_a_recorded_scenario_is_followed_step_by_step() -> None:
    trace = recorded("linux-6.1/f3_flush_pending")
    told = [(step.op, step.target, step.state.workers[0].work_list) for step in trace.steps[1:]]
    assert told[:10] == [
        ("queue_work", "kw_fn", ("kw_fn",)),
        ("execute_start", "kw_fn", ()),
        ("queue_work", "kw_fn#2", ("kw_fn#2",)),
        ("queue_work", "kw_fn#3", ("kw_fn#2", "kw_fn#3")),
        ("queue_work", "kw_fn#4", ("kw_fn#2", "kw_fn#3", "kw_fn#4")),
        ("queue_work", "flush", ("kw_fn#2", "flush", "kw_fn#3", "kw_fn#4")),
        ("execute_end", "kw_fn", ("kw_fn#2", "flush", "kw_fn#3", "kw_fn#4")),
        ("execute_start", "kw_fn#2", ("flush", "kw_fn#3", "kw_fn#4")),
        ("execute_end", "kw_fn#2", ("flush", "kw_fn#3", "kw_fn#4")),
        ("execute_start", "flush", ("kw_fn#3", "kw_fn#4")),
    ]
    assert trace.steps[2].state.workers[0].current_work == "kw_fn"
    assert trace.steps[7].state.workers[0].current_work is None
    assert [task.name for task in trace.tasks] == ["init", "kwo_A", "act1"]
    assert trace.steps[-1].state.workers[0].name == "kwo_A"


@pytest.mark.parametrize(
    ("name", "list_", "at"),
    [  # as the scenarios' own looks at the list have it
        ("f4_flush_running", ("flush", "kw_fn#2"), 4),
        ("f8_two_flushers", ("kw_fn#2", "flush#2", "flush", "kw_fn#3"), 6),
        ("h2_cancel_pending", ("kw_fn#3", "kw_fn#2"), 5),
        ("n3_flush_pending_from_inside", ("kw_fn#2", "flush"), 4),
    ],
)
def test_works_stand_where_the_kernel_had_them(name: str, list_: tuple[str, ...], at: int) -> None:
    assert recorded(f"linux-6.1/{name}").steps[at].state.workers[0].work_list == list_


def test_wake_ups_and_switches_change_the_states_of_tasks() -> None:
    trace = recorded("linux-6.1/sched_a_queue_idle")
    names = {task.name: task.id for task in trace.tasks}
    first = next(step for step in trace.steps if step.op == "queue_work")
    after = trace.steps[first.index + 1 :]
    assert [step.op for step in after[:4]] == ["wake_up", "enqueue_task", "switch", "execute_start"]
    assert after[0].target == "kwo_A"
    states = [step.state.tasks[names["kwo_A"]] for step in after[:4]]
    assert [(state.state, state.doing) for state in states] == [
        ("S", "sleeps"), ("R", "could run"), ("R", "runs"), ("R", "runs"),
    ]  # fmt: skip
    assert [bool(step.state.wakeup_in_flight) for step in after[:3]] == [True, False, False]
    assert "sleeps (S)" in next(step.sentence for step in reversed(trace.steps) if "kwo_A sleeps" in step.sentence)
    assert trace.steps[-1].state.tasks[names["kwo_A"]].doing == "exited"


@pytest.mark.parametrize("name", [name for name in recorded_traces() if "v2_latency" not in name])
def test_every_recording_becomes_a_trace_that_json_keeps(name: str) -> None:
    if name.endswith("o_open"):
        with pytest.raises(ValueError, match="no event in it says anything"):
            recorded(name)
        return
    trace = recorded(name)
    assert Trace.from_dict(trace.to_dict()) == trace
    assert [step.index for step in trace.steps] == list(range(len(trace.steps)))
    assert trace.steps[-1].state.now >= 0


def test_kwlabs_own_threads_give_such_a_trace_too() -> None:
    with record() as events, Worker("demo") as worker:
        worker.queue(int)
        worker.flush()
    trace = from_events(events.events)
    ops = [(step.op, step.target) for step in trace.steps if step.op.startswith(("queue", "execute"))]
    assert ops[:2] == [("queue_work", "int"), ("queue_work", "flush")] or ("execute_start", "int") in ops[:2]
    assert ops[-1] == ("execute_end", "flush#2")
    assert trace.steps[-1].state.workers[0].name == "demo"


def test_too_many_events_and_none_are_errors() -> None:
    one = Event(1.0, "a", 1, "sched_kthread_work_queue_work", {"work": "1", "function": "f", "worker": "w"}, 0, "d..1.")
    with pytest.raises(ValueError, match="more than 5,000 events are too long to be played"):
        from_events([one] * 5_002)
    with pytest.raises(ValueError, match="no event in it says anything"):
        from_events([])
    with pytest.raises(ValueError, match="no event in it says anything"):
        from_events([Event(1.0, "a", 1, "tracing_mark_write", {"text": "x"}, 0, "")])
