"""Points for teardown: the answer's way out, while timers, interrupts and works are still at it."""

from typing import Any

from kwlab import (
    KthreadDelayedWork,
    KthreadWork,
    KthreadWorker,
    Struct,
    Task,
    TimerList,
    complete,
    container_of,
    freed,
    init_completion,
    jiffies,
    kfree,
    kthread_cancel_delayed_work_sync,
    kthread_cancel_work_sync,
    kthread_destroy_worker,
    kthread_init_delayed_work,
    kthread_init_work,
    kthread_queue_delayed_work,
    kthread_queue_work,
    kthread_run,
    kthread_run_worker,
    mod_timer,
    timer_delete_sync,
    timer_setup,
    wait_for_completion,
)
from kwlab.explore import join
from kwlab.explore.quiet import served, settle
from kwlab.grade.testing import FATAL, Boxed, Functions, points, promise

WRONG = (*FATAL, "kernel warning", "work left behind", "exception", "order")


class Demo(Struct):
    """What the notebook defines: a device, its timer, its works and its worker."""

    worker: KthreadWorker | None
    timer: TimerList
    work: KthreadWork
    poll: KthreadDelayedWork
    count: int
    irq: Task | None


def worked(work: KthreadWork) -> None:
    container_of(work, Demo, "work").count += 1


def queue(demo: Demo) -> None:
    kthread_queue_work(demo.worker, demo.work)


def new_demo() -> Demo:
    demo = Demo()
    kthread_init_work(demo.work, worked)
    demo.worker = kthread_run_worker(0, "demo")
    settle()  # its thread is asleep: how threads begin is no part of this exercise
    return demo


def start_timer(demo: Demo) -> None:
    timer_setup(demo.timer, lambda timer: queue(container_of(timer, Demo, "timer")))
    mod_timer(demo.timer, jiffies() + 1)


def ticking(answer: Functions) -> None:
    """A timer is armed that queues the work, which uses the device; main calls remove_ticking()."""
    demo = new_demo()
    start_timer(demo)
    answer.remove_ticking(demo)
    promise(freed(demo), "freed", "remove_ticking() came back, and the device was not freed")


def polling(answer: Functions) -> None:
    """A delayed work that queues itself again is about to run; main calls remove_polling()."""
    demo, gate = new_demo(), init_completion("the work has begun")

    def again(work: KthreadWork) -> None:
        device = container_of(container_of(work, KthreadDelayedWork, "work"), Demo, "poll")
        device.count += 1
        if device.count == 1:
            wait_for_completion(gate)
            kthread_queue_delayed_work(device.worker, device.poll, 1)

    kthread_init_delayed_work(demo.poll, again)
    kthread_queue_delayed_work(demo.worker, demo.poll, 0)
    settle()
    complete(gate)
    answer.remove_polling(demo)
    promise(freed(demo), "freed", "remove_polling() came back, and the device was not freed")


def disarm(timer: TimerList) -> bool:
    """timer_delete_sync(), of the only timer there is."""
    was_pending = timer_delete_sync(timer)
    served()
    return was_pending


def cancel_delayed(delayed: KthreadDelayedWork) -> bool:
    """kthread_cancel_delayed_work_sync(), of the only delayed work there is."""
    was_pending = kthread_cancel_delayed_work_sync(delayed)
    served()
    return was_pending


GIVEN = {"timer_delete_sync": disarm, "kthread_cancel_delayed_work_sync": cancel_delayed}


LINES = {
    "A": lambda demo: kthread_destroy_worker(demo.worker),
    "B": kfree,
    "C": lambda demo: disarm(demo.timer),
    "D": lambda demo: join(demo.irq),
    "E": lambda demo: kthread_cancel_work_sync(demo.work),
}


def letters(said: Any) -> list[str]:
    """The lines that an answer names, in order."""
    return [letter for letter in str(said).upper() if letter.isalpha()]


def leave(order: list[str], source: str) -> None:
    """The driver's way out, its lines in this order, while one source queues: C, the timer, or D, the interrupt."""
    demo = new_demo()
    if source == "C":
        start_timer(demo)
    else:
        demo.irq = kthread_run(lambda demo: queue(demo) or 0, demo, "irq")
    for letter in order:
        if letter in "ABE" or letter == source:
            LINES[letter](demo)
    promise(freed(demo), "order", f"in the order {' '.join(order)} the device is never freed")


def whole_order(answer: Functions) -> list[str]:
    order = letters(answer.exit_order())
    promise(sorted(order) == sorted(LINES), "lines", f"exit_order() names the lines {' '.join(order) or 'none'}")
    return order


def order_without(answer: Functions) -> list[str]:
    order, letter = letters(answer.exit_order()), letters(answer.not_needed())
    promise(len(letter) == 1 and letter[0] in LINES, "lines", f"not_needed() names {' '.join(letter) or 'no line'}")
    return [line for line in order if line != letter[0]]


def mended_timer(answer: Functions) -> None:
    """The driver's exit path, its lines in the order that exit_order() gives, while the timer queues."""
    leave(whole_order(answer), "C")


def mended_interrupt(answer: Functions) -> None:
    """The driver's exit path, its lines in the order that exit_order() gives, while the interrupt queues."""
    leave(whole_order(answer), "D")


def one_less_timer(answer: Functions) -> None:
    """That path without the line that not_needed() names, while the timer queues."""
    leave(order_without(answer), "C")


def one_less_interrupt(answer: Functions) -> None:
    """That path without the line that not_needed() names, while the interrupt queues."""
    leave(order_without(answer), "D")


@points(3, part=1, caps=True)
def test_nothing_is_used_when_it_is_gone(answer: Boxed) -> None:
    """`remove_ticking` leaves nobody behind who could still use the worker, the work or the device."""
    answer.explore(ticking, GIVEN).excludes(*WRONG)


@points(2, part=1)
def test_it_ends_the_thread(answer: Boxed) -> None:
    """When it returns, the worker's thread has ended."""
    answer.explore(ticking, GIVEN).excludes("thread left behind")


@points(1, part=1)
def test_it_frees_the_device(answer: Boxed) -> None:
    """When it returns, the device has been freed."""
    answer.explore(ticking, GIVEN).excludes("freed")


@points(3, part=2, caps=True)
def test_the_poll_is_over(answer: Boxed) -> None:
    """`remove_polling` ends a delayed work that queues itself: no timer and no work is left."""
    answer.explore(polling, GIVEN).excludes(*WRONG)


@points(2, part=2)
def test_thread_and_device_are_gone(answer: Boxed) -> None:
    """When it returns, the thread has ended and the device has been freed."""
    answer.explore(polling, GIVEN).excludes("freed", "thread left behind")


@points(1, part=3)
def test_every_line_is_there_once(answer: Boxed) -> None:
    """`exit_order` names each of the five lines once."""
    answer.explore(mended_interrupt).excludes("lines")


@points(3, part=3, caps=True)
def test_the_order_is_safe(answer: Boxed) -> None:
    """In that order, timer and interrupt find everything alive that they use."""
    answer.explore(mended_interrupt).excludes(*WRONG, "lines")
    answer.explore(mended_timer).excludes(*WRONG, "lines")


@points(1, part=3)
def test_the_line_is_not_needed(answer: Boxed) -> None:
    """Without the line that `not_needed` names, the mended path is still safe."""
    answer.explore(one_less_interrupt).excludes(*WRONG, "lines")
    answer.explore(one_less_timer).excludes(*WRONG, "lines")
