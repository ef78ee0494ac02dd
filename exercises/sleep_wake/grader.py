"""Points for sleep_wake: a reader and its mailbox, in every interleaving."""

from errno import EINTR
from typing import Any

from kwlab import (
    TASK_RUNNING,
    Struct,
    Task,
    complete,
    current,
    init_completion,
    kthread_create,
    kthread_run,
    kthread_should_stop,
    kthread_stop,
    raw_spin_lock_init,
    wait_for_completion,
    wake_up_process,
)
from kwlab.explore import join
from kwlab.explore.quiet import settle
from kwlab.grade.hidden import hidden
from kwlab.grade.testing import FATAL, Boxed, Functions, points, promise, sleep_until


class Mailbox(Struct):
    """What the notebook defines."""

    lock: Any
    letters: int
    taken: int
    reader: Task | None
    done: Any


def new_box(letters: int = 0) -> Mailbox:
    box = Mailbox()
    box.lock = raw_spin_lock_init("box.lock")
    box.letters = letters
    return box


def start(box: Mailbox, read: Any) -> Task:
    """A thread that calls ``read(box)``, known to the box before it runs. It ends in `finished`: a writer may still be
    about to wake it."""
    done = init_completion("the letters are taken")

    def thread(box: Mailbox) -> int:
        read(box)
        complete(done)
        sleep_until(kthread_should_stop)
        return 0

    task = box.reader = kthread_create(thread, box, "reader")
    box.done = done
    wake_up_process(task)
    return task


def finished(box: Mailbox) -> None:
    """Wait until the reader has what it waits for, and end it."""
    wait_for_completion(box.done)
    kthread_stop(box.reader)


OTHERS = hidden(__file__)
drop, take = OTHERS.drop, OTHERS.take


def letter_is_there(answer: Functions) -> None:
    """A thread calls take_letter() on a box with two letters in it."""
    box = new_box(letters=2)
    start(box, answer.take_letter)
    finished(box)
    promise(box.letters == 1, "count", f"there were 2 letters and it took one, but now there are {box.letters}")


def letter_comes(answer: Functions) -> None:
    """A thread calls take_letter() on an empty box, and main drops a letter."""
    box = new_box()
    states = []

    def read(box: Mailbox) -> None:
        answer.take_letter(box)
        states.append(current().state)

    start(box, read)
    drop(box)
    finished(box)
    promise(box.letters == 0, "count", f"it took the only letter, but there are {box.letters}")
    promise(states == [TASK_RUNNING], "state", "it came back in another state than TASK_RUNNING")


def woken_for_nothing(answer: Functions) -> None:
    """A thread calls take_letter() on an empty box; main wakes it for nothing, then drops a letter."""
    box = new_box()

    def read(box: Mailbox) -> None:
        answer.take_letter(box)
        promise(box.letters >= 0, "count", f"it took a letter that was not there: now there are {box.letters}")

    wake_up_process(start(box, read))
    drop(box)
    finished(box)


def one_drop(answer: Functions) -> None:
    """A thread waits for a letter, and main calls drop_letter()."""
    box = new_box()
    start(box, take)
    answer.drop_letter(box)
    finished(box)
    promise(box.letters == 0, "count", f"one letter was dropped and one taken, but there are {box.letters}")


def two_drops(answer: Functions) -> None:
    """A thread waits for two letters; main and a second thread call drop_letter() once each."""
    box = new_box()

    def read(box: Mailbox) -> None:
        take(box)
        take(box)

    start(box, read)
    settle()  # one_drop has what can come before the reader sleeps
    other = kthread_run(lambda data: answer.drop_letter(box) or 0, None, "writer")
    answer.drop_letter(box)
    join(other)
    finished(box)
    promise(box.letters == 0, "count", f"two letters were dropped and two taken, but there are {box.letters}")


def stopped(answer: Functions) -> None:
    """A thread runs reader() on an empty box, and main stops it."""
    returned = kthread_stop(kthread_run(answer.reader, new_box(), "reader"))
    promise(returned in (0, -EINTR), "returns", f"reader() returned {returned}")  # -EINTR: stopped before it began


def letter_then_stop(answer: Functions) -> None:
    """A thread runs reader(); main drops a letter, then stops it."""
    box = new_box()
    box.reader = kthread_run(answer.reader, box, "reader")
    drop(box)
    kthread_stop(box.reader)
    promise(box.letters + box.taken == 1, "count", f"1 letter: {box.letters} in the box, {box.taken} counted as taken")
    promise(box.letters >= 0, "count", f"there are {box.letters} letters in the box")


@points(1, part=1)
def test_a_letter_that_is_there_is_taken(answer: Boxed) -> None:
    """With letters in the box `take_letter` takes one, and does not wait."""
    answer.explore(letter_is_there).excludes(*FATAL, "count", "endless", "exception")


@points(3, part=1, caps=True)
def test_no_wake_up_is_lost(answer: Boxed) -> None:
    """A letter that comes at any moment is taken: in no interleaving the thread sleeps on."""
    answer.explore(letter_comes).excludes(*FATAL, "count")


@points(2, part=1)
def test_it_sleeps_as_one_must(answer: Boxed) -> None:
    """While there is no letter it sleeps: it does not go round and round, and holds no lock meanwhile."""
    for scenario in (letter_comes, woken_for_nothing):
        answer.explore(scenario).excludes("endless", "sleeping while atomic", "recursive lock")


@points(1, part=1)
def test_a_wake_up_for_nothing_is_no_letter(answer: Boxed) -> None:
    """Woken for nothing, it looks again, and sleeps again."""
    answer.explore(woken_for_nothing).excludes(*FATAL, "count")


@points(1, part=1)
def test_it_comes_back_running(answer: Boxed) -> None:
    """When it returns, the state is TASK_RUNNING: an announced sleep is taken back."""
    answer.explore(letter_comes).excludes("state")


@points(2, part=2, caps=True)
def test_the_reader_finds_the_letter(answer: Boxed) -> None:
    """`drop_letter` lets the reader find the letter, whatever it was doing."""
    answer.explore(one_drop).excludes(*FATAL, "count", "endless", "exception")


@points(2, part=2)
def test_two_writers_at_once(answer: Boxed) -> None:
    """Two letters dropped at the same time are two letters."""
    answer.explore(two_drops).excludes(*FATAL, "count")


@points(3, part=3, caps=True)
def test_no_stop_is_lost(answer: Boxed) -> None:
    """`reader` ends when it is told to, whenever that is, and returns 0."""
    answer.explore(stopped).excludes(*FATAL, "returns")


@points(2, part=3)
def test_no_letter_is_lost(answer: Boxed) -> None:
    """Every letter is in the box or counted in `box.taken`, once."""
    answer.explore(letter_then_stop).excludes(*FATAL, "count")


@points(1, part=3)
def test_the_reader_sleeps(answer: Boxed) -> None:
    """With an empty box `reader` sleeps, and holds no lock meanwhile."""
    answer.explore(stopped).excludes("endless", "sleeping while atomic", "recursive lock")
