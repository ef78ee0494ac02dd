"""The pictures of a trace: lanes, moments, source. (What every picture must do is in test_draw.py.)"""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from traces import long_trace, lost_wakeup

from kwlab.draw.lanes import LETTERS, STEPS, lanes_picture, window
from kwlab.draw.moment import moment_picture
from kwlab.draw.source import source_picture
from kwlab.draw.svg import Picture
from kwlab.explore.trace_format import State, TaskState, Trace
from kwlab.runtime import model_ops

SVG = "{http://www.w3.org/2000/svg}"
GAP = lost_wakeup()


def texts(picture: Picture) -> list[str]:
    return [element.text or "" for element in ET.fromstring(picture.svg).iter(f"{SVG}text")]


def titles(picture: Picture) -> list[str]:
    return [element.text or "" for element in ET.fromstring(picture.svg).iter(f"{SVG}title")]


def shapes(picture: Picture, kind: str) -> int:
    return picture.svg.count(f'class="{kind}"')


# ----------------------------------------------------------------------------------------------------------- lanes


def test_lanes_have_a_box_for_each_step_and_a_name_for_each_task() -> None:
    picture = lanes_picture(GAP)
    assert {"main", "demo", "client"} <= set(texts(picture))
    letters = [words for words in texts(picture) if words in ("L", "!", "A")]
    # main's lane, demo's lane, and what the letters mean.
    assert letters == [*("L", "!"), *("L", "A"), *("L", "!", "A")]
    assert "step 3: wake_up demo (cell:43: wake_up(worker.task))" in titles(picture)


def test_lanes_say_why_a_task_stopped() -> None:
    hover = titles(lanes_picture(GAP))
    assert "demo preempted, steps 2 to 3: preempted" in hover
    assert "client blocked on a lock, steps 2 to 2: waits for lock worker.lock held by main" in hover
    ending = replace(GAP, steps=(*GAP.steps, replace(GAP.steps[3], index=5, state=GAP.steps[4].state)))
    assert "demo slept, steps 5 to 5: sleeps" in titles(lanes_picture(ending))
    # A stop too short for the word has its letter; all are spelt out below.
    assert {"p", "l", "preempted", "blocked on a lock", "holds a lock"} <= set(texts(lanes_picture(GAP)))


def test_why_a_task_stopped_is_in_the_shape_of_its_line_too() -> None:
    doings = ("could run", "preempted", "sleeps", "waits for lock l held by a", "waits for completion c")
    drawn = []
    for doing in doings:
        state = State(0, {0: TaskState("R", "runs"), 1: TaskState("S", doing)})
        steps = tuple(replace(GAP.steps[1], index=number, task=0, state=state) for number in range(3))
        svg = lanes_picture(replace(GAP, steps=steps, bug=None)).svg
        drawn.append(next(kind for kind in ("asleep", "blocked", "ready", "back", "line") if f'class="{kind}"' in svg))
    assert drawn == ["line", "ready", "asleep", "blocked", "back"]


def test_a_wakeup_that_changed_nothing_has_a_dashed_arrow_and_a_cross() -> None:
    lost = lanes_picture(GAP)
    assert "✗" in texts(lost)
    assert "this wake-up changed nothing: demo was running, and nobody keeps a wake-up" in titles(lost)
    asleep = replace(GAP.steps[2].state, tasks={**GAP.steps[2].state.tasks, 1: TaskState("S", "sleeps")})
    steps = (*GAP.steps[:2], replace(GAP.steps[2], state=asleep), *GAP.steps[3:])
    woken = lanes_picture(replace(GAP, steps=steps))
    assert "✗" not in texts(woken)
    assert shapes(woken, "backhead") == shapes(lost, "backhead") - 1
    assert shapes(woken, "head") == shapes(lost, "head") + 1


def test_words_stand_where_no_wakeup_comes_down() -> None:
    def preempted(trace: Trace) -> tuple[float, float]:
        """How far below the name of the lane, and below the cross of the wake-up, the letter for the pause stands."""
        places = {
            one.text: float(one.attrib["y"]) for one in ET.fromstring(lanes_picture(trace).svg).iter(f"{SVG}text")
        }
        return places["p"] - places["demo"], places["p"] - places["✗"]

    assert preempted(GAP)[0] > 0
    assert preempted(GAP)[1] > 10
    client = next(task.id for task in GAP.tasks if task.name == "client")  # whose lane is below
    from_below = replace(GAP, steps=(*GAP.steps[:3], replace(GAP.steps[3], task=client), *GAP.steps[4:]))
    assert preempted(from_below)[0] < 0
    assert preempted(from_below)[1] < -10


def test_lanes_tell_the_turns_and_the_bug_in_words() -> None:
    assert lanes_picture(GAP).label == (
        "lanes of 3 tasks, 4 steps: 1 demo, 2-3 main (preemption), 4 demo. lost wake-up: demo sleeps with 1 work queued"
    )
    assert lanes_picture(GAP, 3).label == "step 3 of 4: main wakes demo, which is TASK_RUNNING: nothing happens"
    assert "✗ lost wake-up: demo sleeps with 1 work queued" in texts(lanes_picture(GAP))


def test_every_operation_of_the_model_has_its_letter() -> None:
    unseen = {model_ops.NAMES[op] for op in (model_ops.UNLOCK, model_ops.SPAWN, model_ops.HOLD)}
    operations = set(model_ops.NAMES) - unseen
    assert operations <= set(LETTERS), "the others are the events of recorded traces"
    assert len({LETTERS[name] for name in operations}) == len(operations)


@pytest.mark.parametrize(
    ("steps", "at", "expected"),
    [
        (0, None, range(1, 1)),
        (4, None, range(1, 5)),
        (32, None, range(1, 33)),
        (100, None, range(69, 101)),
        (100, 0, range(1, 33)),
        (100, 50, range(29, 61)),
        (100, 100, range(69, 101)),
    ],
)
def test_of_a_long_trace_a_window_is_drawn(steps: int, at: int | None, expected: range) -> None:
    assert window(steps, at) == expected
    if at:
        assert at in window(steps, at)


@pytest.mark.parametrize("at", [None, 0, 1_000, 2_000])
def test_the_lanes_of_a_long_trace_stay_small_and_say_what_is_left_out(at: int | None) -> None:
    picture = lanes_picture(long_trace(2_000), at)
    assert len(picture.svg) < 30_000
    assert len(picture.label) < 1_000
    boxes = picture.svg.count('class="box"') + picture.svg.count('class="mark"')
    assert boxes == STEPS
    if at != 0:
        assert any(words.endswith("earlier") for words in texts(picture))


# --------------------------------------------------------------------------------------------------------- moments


def test_a_moment_shows_holder_waiters_tasks_and_the_wakeup_on_its_way() -> None:
    picture = moment_picture(GAP, 2)
    assert {"held by main", "client waits", "wake-up on its way", "A"} <= set(texts(picture))
    assert picture.label == (
        "worker with thread demo (running); lock held by main, client waits; work_list: A; delayed_work_list: empty; "
        "current_work: NULL. main runs (R); demo preempted (R); client waits for lock worker.lock held by main (R). "
        "main is about to wake demo"
    )
    assert "wake-up on its way" not in texts(moment_picture(GAP, 3))


def test_moments_of_one_trace_are_of_one_size() -> None:
    sizes = {moment_picture(GAP, number).svg.split("viewBox")[1][:20] for number in range(len(GAP.steps))}
    assert len(sizes) == 1


def test_no_room_is_kept_for_a_worker_that_never_comes() -> None:
    def height(trace: Trace, at: int) -> int:
        return int(ET.fromstring(moment_picture(trace, at).svg).attrib["height"])

    later = replace(GAP, steps=(replace(GAP.steps[0], state=replace(GAP.steps[0].state, workers=())), *GAP.steps[1:]))
    never = replace(GAP, steps=tuple(replace(one, state=replace(one.state, workers=())) for one in GAP.steps))
    assert height(later, 0) == height(later, 1) == height(GAP, 0)
    assert height(never, 0) == height(never, 1) < height(GAP, 0) - 200
    assert "no worker yet" in texts(moment_picture(never))


def test_two_hundred_works_stay_readable() -> None:
    picture = moment_picture(long_trace(10, works=200))
    assert len(picture.svg) < 100_000
    assert "195 more" in texts(picture)
    assert {"work_0", "work_1", "work_2", "work_198", "work_199"} <= set(texts(picture))


def test_a_flush_work_in_a_trace_has_its_double_frame() -> None:
    listed = replace(GAP.steps[4].state.workers[0], work_list=("flush(A)",))
    plain = replace(listed, work_list=("brush(A)",))
    pictures = [
        moment_picture(
            replace(GAP, steps=(replace(GAP.steps[4], state=replace(GAP.steps[4].state, workers=(one,))),)), 0
        )
        for one in (listed, plain)
    ]
    assert pictures[0].svg.count("<rect") == pictures[1].svg.count("<rect") + 1


def test_a_freed_worker_shows_no_fields() -> None:
    freed = replace(GAP.steps[4].state.workers[0], freed=True)
    trace = replace(GAP, steps=(replace(GAP.steps[4], state=replace(GAP.steps[4].state, workers=(freed,))),))
    picture = moment_picture(trace)
    assert picture.label.startswith("a worker that was freed.")
    assert "work_list" not in texts(picture)


# ---------------------------------------------------------------------------------------------------------- source


def test_the_source_shows_where_each_task_is_and_what_was_just_done() -> None:
    picture = source_picture(GAP, 2)
    assert {"▶ main", "✓ main ▶ client", "▶ demo", "cell   queue()", "cell   loop()"} <= set(texts(picture))
    assert "✓ main, ▶ client" in titles(picture)
    assert picture.label == (
        "main did cell:41 in queue(): with worker.lock:; main is at cell:43 in queue(): wake_up(worker.task); demo is "
        "at cell:14 in loop(): set_current_state(TASK_INTERRUPTIBLE); client is "
        "at cell:41 in queue(): with worker.lock:"
    )


def test_the_source_leaves_out_what_is_far_from_everybody() -> None:
    lines = tuple(f"line {number}" for number in range(100))
    sources = {"cell": {"loop": replace(GAP.sources["cell"]["loop"], first=1, lines=lines)}}
    places = [replace(GAP.steps[1].place, line=line) for line in (20, 80)]
    state = State(0, {number: TaskState("R", "could run", place) for number, place in enumerate(places)})
    shown = texts(source_picture(replace(GAP, sources=sources, steps=(replace(GAP.steps[0], state=state),)), 0))
    assert {"line 15", "line 23", "⋮", "line 75", "line 83"} <= set(shown)
    assert not {"line 14", "line 24", "line 74", "line 84"} & set(shown)
