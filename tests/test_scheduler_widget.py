"""`BeTheScheduler`, without a browser."""

import threading

import ipywidgets
import loops
import pytest
from classics import CLASSICS, found
from clicking import everything, find, press, shown

from kwlab.explore.game import follow
from kwlab.museum import exhibit
from kwlab.widgets.player import Player
from kwlab.widgets.scheduler import BeTheScheduler


def said(play: BeTheScheduler) -> str:
    return play._said.value


def test_the_learner_makes_the_lost_wakeup_happen() -> None:
    play = BeTheScheduler(loops.lost_wakeup, "Let the worker sleep with a work on its list.")
    assert "Let the worker sleep with a work on its list." in shown(play)
    for name in ("worker", "worker", "main"):
        press(find(play, f"▶ {name}"))
        assert "Who goes on?" in said(play)
        assert not play.game.won
    press(find(play, "▶ main"))
    assert "You made it go wrong in 4 clicks; no shorter answer is known.</div>" in said(play)
    assert "<div>Lost wake-up: worker sleeps with 1 work queued" in said(play)
    assert "nobody keeps a wake-up" in said(play)
    (player,) = (one for one in everything(play) if isinstance(one, Player))
    assert player.at == len(player.trace.steps) - 1
    press(find(player, "start"))
    assert player.at == 0


@pytest.mark.parametrize(("scenario", "kind"), CLASSICS.values(), ids=CLASSICS)
def test_a_classic_bug_is_won_by_the_buttons_along_the_explorers_schedule(scenario, kind: str) -> None:
    play = BeTheScheduler(scenario)
    clicks = follow(play.game, found(scenario))
    assert clicks is not None
    assert len(clicks) <= 12
    for number, task in enumerate(clicks, 1):
        assert not play.game.won
        press(find(play, f"▶ {play.game.trace().name_of(task)}"))
        assert play.game.clicks == clicks[:number]
    assert f"You made it go wrong in {len(clicks)} clicks; " in said(play)
    assert f"<div>{kind.capitalize()}: " in said(play)


def test_a_longer_way_is_held_against_the_shortest() -> None:
    play = BeTheScheduler(exhibit("B2b").wrong)
    for task in (0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1):
        play.choose(task)
    assert "You made it go wrong in 11 clicks; the shortest answer takes 7." in said(play)


def test_undo_takes_one_click_back_even_a_won_one() -> None:
    play = BeTheScheduler(loops.lost_wakeup)
    before = shown(play._pictures)
    play.choose(1)
    press(find(play, "undo"))
    assert (shown(play._pictures), play.game.clicks) == (before, [])
    press(find(play, "undo"))
    assert "This is the beginning." in said(play)
    for task in (1, 1, 0, 0):
        play.choose(task)
    press(find(play, "undo"))
    assert not play.game.won
    assert not [one for one in everything(play) if isinstance(one, Player)]
    press(find(play, "start again"))
    assert play.game.clicks == []


def test_show_me_plays_the_shortest_answer_and_claims_nothing_for_the_learner() -> None:
    play = BeTheScheduler(loops.double_run)
    press(find(play, "show me"))
    assert "The shortest answer: 7 clicks, client-1, client-1," in said(play)
    assert "(no answer is shorter)" in said(play)
    assert "You made it" not in said(play)
    assert [one for one in everything(play) if isinstance(one, Player)]
    press(find(play, "undo"))
    play.choose(play.game.position.enabled[0])
    assert "You made it" in said(play)


def test_what_cannot_go_wrong_has_nothing_to_show() -> None:
    play = BeTheScheduler(exhibit("B1").right)
    press(find(play, "show me"))
    assert "There is nothing to show: every choice was tried, and none makes it fail." in said(play)
    while not play.game.position.over:
        play.choose(play.game.position.enabled[0])
    assert "nothing went wrong on this way" in said(play)
    clicks = list(play.game.clicks)
    play.choose(0)
    assert "The game is over" in said(play)
    assert play.game.clicks == clicks


def test_a_task_that_cannot_go_on_says_why_and_keeps_the_focus() -> None:
    play = BeTheScheduler(loops.double_run)
    waiting = find(play, "· main")
    assert not waiting.disabled
    press(waiting)
    assert "main cannot go on now: it waits for completion finished." in said(play)
    assert play.game.clicks == []
    before = list(everything(play._rows))
    play.choose(1)
    assert list(everything(play._rows)) == before


def test_single_steps() -> None:
    play = BeTheScheduler(loops.lost_wakeup)
    steps = len(play.game.position.schedule)
    play._single.value = True
    play.choose(1)
    assert len(play.game.position.schedule) == steps + 1
    assert "Click 1: " in said(play)


def test_each_task_says_where_it_is() -> None:
    play = BeTheScheduler(loops.lost_wakeup)
    play.choose(1)
    assert "can go on, at _take() line" in shown(play._rows)
    assert "<code>with worker.lock:</code>" in shown(play._rows)


def test_a_scenario_that_fails_by_itself_is_won_at_once() -> None:
    def fails() -> None:
        raise KeyError("forgotten")

    play = BeTheScheduler(fails)
    assert "in 0 clicks" in said(play)
    assert "Exception: main: KeyError: &#x27;forgotten&#x27;" in said(play)


def test_nothing_of_it_runs_as_a_thread() -> None:
    threads = set(threading.enumerate())
    play = BeTheScheduler(loops.lost_stop)
    press(find(play, "show me"))
    assert set(threading.enumerate()) == threads


def test_what_is_no_scenario() -> None:
    with pytest.raises(TypeError, match="a function without arguments, not 'loop'"):
        BeTheScheduler("loop")


def test_everything_has_a_name_for_a_screen_reader() -> None:
    play = BeTheScheduler(loops.lost_stop)
    for one in everything(play):
        if isinstance(one, ipywidgets.Button):
            assert one.description
            assert one.tooltip
