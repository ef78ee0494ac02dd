"""Being the scheduler, without a widget: where the game stops, what wins, and how short the answers are."""

import signal
import warnings

import loops
import pytest
from classics import CLASSICS, found

from kwlab import (
    DEFINE_KTHREAD_WORK,
    TASK_INTERRUPTIBLE,
    Struct,
    init_completion,
    kthread_destroy_worker,
    kthread_queue_work,
    kthread_run,
    kthread_run_worker,
    kthread_stop,
    raw_spin_lock_init,
    schedule,
    set_current_state,
    wake_up_process,
)
from kwlab.explore import Options, check, join
from kwlab.explore.answers import Answer, shortest_answer
from kwlab.explore.depth_first import DepthFirst
from kwlab.explore.engine import search
from kwlab.explore.game import PATIENCE, Game, follow
from kwlab.explore.meanings import MEANINGS
from kwlab.explore.problems import KINDS
from kwlab.explore.until import FAR
from kwlab.museum import exhibit


@pytest.mark.parametrize(("scenario", "kind"), CLASSICS.values(), ids=CLASSICS)
def test_a_classic_bug_is_won_along_the_explorers_schedule_in_at_most_12_clicks(scenario, kind: str) -> None:
    game = Game(scenario)
    clicks = follow(game, found(scenario))
    assert clicks is not None
    assert len(clicks) <= 12
    for click in clicks:
        assert not game.won
        game.choose(click)
    assert game.position.bug == kind
    assert game.trace().bug.kind == kind


@pytest.mark.parametrize(("scenario", "kind"), CLASSICS.values(), ids=CLASSICS)
def test_the_shortest_answer_wins_and_is_no_longer_than_the_explorers(scenario, kind: str) -> None:
    game = Game(scenario)
    answer = shortest_answer(game)
    assert answer.proof == "no answer is shorter"
    assert len(answer.clicks) <= len(follow(game, found(scenario)))
    for click in answer.clicks:
        game.choose(click)
    assert game.position.bug == kind


@pytest.mark.parametrize(("scenario", "kind"), CLASSICS.values(), ids=CLASSICS)
def test_single_steps_along_the_explorers_schedule_win_too(scenario, kind: str) -> None:
    game = Game(scenario)
    schedule = found(scenario)
    for task in schedule[len(game.position.schedule) :]:
        game.choose(task, single=True)
    assert (game.position.bug, list(game.position.schedule)) == (kind, schedule)


MUSEUM = "B1 B2b B5 B8 B9 B10 B13 T1 T2 T3 T4 T5 T6 T7 T8 T9".split()


@pytest.mark.parametrize("name", MUSEUM)
def test_an_exhibit_is_won_in_at_most_12_clicks(name: str) -> None:
    game = Game(exhibit(name).wrong)
    answer = shortest_answer(game)
    assert answer.clicks is not None
    assert len(answer.clicks) <= 12
    for click in answer.clicks:
        game.choose(click)
    assert game.won


def right() -> None:
    worker = kthread_run_worker(0, "worker")
    kthread_queue_work(worker, DEFINE_KTHREAD_WORK(lambda work: None))
    kthread_destroy_worker(worker)


def test_the_shipped_worker_cannot_be_beaten() -> None:
    assert shortest_answer(Game(right)) == Answer(None, "every choice was tried, and none makes it fail")


def test_where_too_much_would_have_to_be_tried_a_search_is_asked() -> None:
    answer = shortest_answer(Game(exhibit("B2b").wrong), tries=5)
    assert answer.clicks is not None
    assert answer.proof == "none takes fewer than 2 clicks; a search found this one"
    assert shortest_answer(Game(right), tries=5).proof == "a search found no bug in all interleavings"


class Shared(Struct):
    count: int


def unlocked_counter() -> None:
    shared = Shared()
    shared.count = 0

    def add(_: object) -> int:
        shared.count += 1
        return 0

    for name in ("one", "two"):
        kthread_run(add, None, name)


def test_a_data_race_wins_where_races_are_looked_for() -> None:
    assert shortest_answer(Game(unlocked_counter)).clicks is None
    game = Game(unlocked_counter, Options(races=True))
    for click in shortest_answer(game).clicks:
        game.choose(click)
    assert game.position.bug == "data race"
    assert game.trace().bug.kind == "data race"


def test_what_fails_by_itself_needs_no_click() -> None:
    def fails() -> None:
        assert 1 + 1 == 3

    game = Game(fails)
    assert game.won
    assert shortest_answer(game) == Answer((), "it fails without any choice")


# ---------------------------------------------------------------------------------------------- where the game stops


def two_counters() -> None:
    """Two tasks with nothing in common."""

    def count(_: object) -> int:
        own = raw_spin_lock_init("own")
        for _ in range(5):
            with own:
                pass
        return 0

    join(kthread_run(count, None, "one"), kthread_run(count, None, "two"))


def test_what_cannot_collide_needs_no_choices() -> None:
    game = Game(two_counters)
    clicks = 0
    while not game.position.over:
        game.choose(game.position.enabled[0])
        clicks += 1
    assert not game.won
    # Who goes first, and where one of them is over and the other goes on: not five locks each.
    assert clicks <= 3
    assert len(game.position.schedule) > 14


def test_a_click_goes_on_to_where_a_task_blocks_or_could_collide() -> None:
    game = Game(loops.lost_wakeup)
    tasks = [game.trace().steps[-1].state.tasks[number] for number in game.position.enabled]
    assert [task.place.text for task in tasks if task.place] == ["lock.acquire()"]
    game.choose(1)
    at = game.trace().steps[-1].state.tasks[1].place
    assert at.text == "with worker.lock:"  # main could take it first
    game.choose(1)
    assert game.trace().steps[-1].state.tasks[1].place.text == "set_current_state(TASK_INTERRUPTIBLE)"


def test_with_one_task_that_can_go_on_nobody_is_asked() -> None:
    game = Game(loops.lost_stop)
    assert len(game.position.enabled) == 2
    assert len(game.position.schedule) == 1  # main alone, up to where it woke the worker


def test_a_task_that_goes_round_for_ever_is_left_after_a_while() -> None:
    def spinning() -> None:
        def spin(_: object) -> int:
            lock = raw_spin_lock_init("own")
            while True:
                with lock:
                    pass

        kthread_run(spin, None, "spinner")
        init_completion("never").wait()

    game = Game(spinning, Options(limit=4 * FAR))
    assert len(game.position.schedule) == FAR
    assert not game.position.over


def test_undo_and_restart() -> None:
    game = Game(loops.double_run)
    positions = [game.position]
    for click in (1, 1, 2):
        positions.append(game.choose(click))
    assert game.clicks == [1, 1, 2]
    for earlier in reversed(positions[:-1]):
        game.undo()
        assert game.position is earlier
    game.undo()
    assert (game.position, game.clicks) == (positions[0], [])
    game.choose(2)
    game.restart()
    assert (game.position, game.clicks) == (positions[0], [])


def test_the_same_clicks_lead_to_the_same_place() -> None:
    first, second = Game(loops.lost_wakeup), Game(loops.lost_wakeup)
    for click in (1, 1, 0, 0):
        assert first.choose(click) == second.choose(click)
    assert first.trace() == second.trace()


def test_who_cannot_go_on_cannot_be_chosen() -> None:
    game = Game(loops.double_run)
    with pytest.raises(ValueError, match="task 0 cannot go on here; who can: 1, 2"):
        game.choose(0)
    for click in shortest_answer(game).clicks:
        game.choose(click)
    with pytest.raises(ValueError, match="none: the game is over"):
        game.choose(1)


def test_a_schedule_that_leads_to_no_bug_has_no_clicks() -> None:
    game = Game(right)
    assert follow(game, check(right, executions=1).schedule) is None
    assert follow(game, []) is None
    assert PATIENCE >= 12


def test_what_is_played_and_left_prints_no_warnings() -> None:
    with warnings.catch_warnings(record=True) as issued:
        warnings.simplefilter("always")
        shortest_answer(Game(exhibit("T5").wrong))
    assert issued == []


def test_positions_that_differ_in_the_order_of_colliding_steps_have_two_fingerprints() -> None:
    def together() -> None:
        lock = raw_spin_lock_init("lock")

        def take(_: object) -> int:
            with lock:
                pass
            return 0

        for name in ("a", "b"):
            kthread_run(take, None, name)

    game = Game(together)
    while game.position.enabled != (1, 2) and len(game.position.schedule) < 50:
        game.choose(game.position.enabled[0], single=True)
    start, reached = game.position, []
    for first, second in ((1, 2), (2, 1)):
        position = start
        # Each up to behind the lock: the same steps of each task, the lock taken in the other order.
        for task in (first, second):
            for _ in range(7):
                position = game.after(position, task, single=True)
        reached.append(position)
    assert sorted(reached[0].schedule) == sorted(reached[1].schedule)
    assert reached[0].fingerprint != reached[1].fingerprint


def test_positions_that_differ_in_the_order_of_independent_steps_have_one_fingerprint() -> None:
    def apart() -> None:
        def take(name: str) -> int:
            with raw_spin_lock_init(name):
                pass
            return 0

        for name in ("a", "b"):
            kthread_run(take, name, name)

    game = Game(apart)
    reached = []
    for order in ((1, 1, 2, 2), (2, 2, 1, 1), (1, 2, 1, 2), (1, 1, 1, 2)):
        game.restart()
        for task in order:
            game.choose(task, single=True)
        reached.append(game.position.fingerprint)
    assert reached[0] == reached[1] == reached[2] != reached[3]


def test_the_clicks_reach_every_kind_of_bug_that_all_interleavings_have() -> None:
    """Three bugs in one scenario, each on another way: as many as a search without any reduction finds."""

    def several() -> None:
        log: list[str] = []
        lock = raw_spin_lock_init("lock")

        def sleeper(_: object) -> int:
            with lock:
                log.append("sleeper")
            set_current_state(TASK_INTERRUPTIBLE)
            schedule()
            return 0

        task = kthread_run(sleeper, None, "sleeper")
        with lock:
            first = not log
            log.append("main")
        wake_up_process(task)
        assert not first or len(log) == 2, "main was first, and alone"
        kthread_stop(task)

    every: set[str | None] = set()
    note = lambda run, _: every.add(run.bug and run.bug.kind)  # noqa: E731
    assert search(several, DepthFirst(), Options(), stop_at_bug=False, after=note).complete
    clicked: set[str | None] = set()
    game = Game(several)
    waiting = [game.position]
    while waiting:
        position = waiting.pop()
        if position.over:
            clicked.add(position.bug)
        waiting += [game.after(position, task) for task in position.enabled]
    assert clicked == every
    assert len(every) >= 3


def test_every_kind_of_bug_is_explained() -> None:
    assert set(KINDS) <= set(MEANINGS), "say in kwlab/explore/meanings.py what the new kind means"


def test_ctrl_c_ends_a_move_and_the_game_stands_where_it_was() -> None:
    presses: list[int] = []

    def scenario() -> None:
        while presses:
            signal.raise_signal(presses.pop())
        join(*[kthread_run(lambda data: None, None, "client-%d", number) for number in range(2)])

    game = Game(scenario)
    before = game.position
    presses.append(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        game.choose(1)
    assert (game.position, game.clicks) == (before, [])
    game.choose(1)
    assert game.clicks == [1]
    presses.append(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        Game(scenario)
