"""`Player`, without a browser."""

import json

import pytest
from clicking import find, press, shown
from traces import long_trace, lost_wakeup

import kwlab.widgets.player
from kwlab import TASK_RUNNING, set_current_state
from kwlab.draw.lanes import lanes_picture
from kwlab.draw.moment import moment_picture
from kwlab.draw.source import source_picture
from kwlab.explore import record
from kwlab.museum import exhibit
from kwlab.widgets.player import Player, listed

GAP = lost_wakeup()


def test_all_views_show_one_moment() -> None:
    player = Player(GAP)
    for at, words in enumerate(["", "forward", "forward"]):
        if words:
            press(find(player, words))
        assert (player._slider.value, player._list.value) == (at, at)
        assert f"step {at} of 4: {GAP.steps[at].sentence}" in shown(player)
        for picture in (lanes_picture(GAP, at), moment_picture(GAP, at), source_picture(GAP, at)):
            assert picture.svg in shown(player)


def test_slider_and_list_move_each_other() -> None:
    player = Player(GAP)
    player._slider.value = 3
    assert (player.at, player._list.value) == (3, 3)
    player._list.value = 1
    assert (player.at, player._slider.value) == (1, 1)
    assert "step 1 of 4" in shown(player)


def test_back_and_forward_end_where_the_trace_ends() -> None:
    player = Player(GAP)
    press(find(player, "back"))
    assert player.at == 0
    for _ in range(9):
        press(find(player, "forward"))
    assert player.at == 4
    press(find(player, "start"))
    assert player.at == 0


def test_jumps() -> None:
    player = Player(GAP)
    press(find(player, "next preemption"))
    assert player.at == 2
    press(find(player, "next preemption"))  # there is none
    assert player.at == 2
    press(find(player, "to the bug"))
    assert player.at == 4
    assert "lost wake-up: demo sleeps with 1 work queued" in shown(player)


def test_the_next_event_is_one_of_a_work_or_a_wakeup() -> None:
    trace = record(exhibit("B2b").right)
    player = Player(trace)
    seen = []
    for _ in range(4):
        press(find(player, "next event"))
        seen.append([event.name for event in trace.steps[player.at].events])
    assert seen == [
        ["sched_waking"],
        ["lock_acquire", "sched_kthread_work_queue_work", "list_add"],
        ["sched_waking", "lock_release"],
        ["lock_acquire", "sched_kthread_work_queue_work", "list_add"],
    ]
    assert find(player, "to the end")


def test_the_list_marks_preemptions_and_the_bug() -> None:
    assert [listed(GAP, step)[:4] for step in GAP.steps] == ["0  t", "1  d", "2  ▼", "3  m", "4  ✗"]


def test_of_a_long_trace_only_what_is_seen_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    for name in ("lanes_picture", "moment_picture", "source_picture"):
        draw = getattr(kwlab.widgets.player, name)
        monkeypatch.setattr(
            kwlab.widgets.player,
            name,
            lambda trace, at, draw=draw: drawn.append((draw.__name__, at)) or draw(trace, at),
        )
    player = Player(long_trace(2_000, works=200))
    assert drawn == [("lanes_picture", 0), ("moment_picture", 0), ("source_picture", 0)]
    assert len(shown(player)) < 100_000
    player.show(1_234)
    assert drawn[3:] == [("lanes_picture", 1_234), ("moment_picture", 1_234), ("source_picture", 1_234)]
    assert "step 1234 of 2000" in shown(player)


@pytest.mark.parametrize("at", [-1, 5])
def test_a_step_that_is_not_there(at: int) -> None:
    with pytest.raises(ValueError, match=rf"at={at}\): this trace has the steps 0 to 4"):
        Player(GAP, at)


def test_what_is_no_trace() -> None:
    with pytest.raises(TypeError, match="plays a trace, such as"):
        Player([1, 2])


def test_a_trace_through_json_plays_the_same() -> None:
    again = type(GAP).from_dict(json.loads(json.dumps(GAP.to_dict())))
    assert Player(again).picture().svg == Player(GAP).picture().svg


def test_a_scenario_is_played_as_it_goes_by_itself() -> None:
    def alone() -> None:
        set_current_state(TASK_RUNNING)

    assert [step.op for step in Player(alone).trace.steps] == [step.op for step in record(alone).steps]
