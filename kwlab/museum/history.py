"""The historical bugs of kthread_worker, each brought back by a few changed lines of today's source.

Every scenario takes the worker's module `w`, so that it runs on the wrong worker and on the right one.
"""

from types import ModuleType
from typing import Any

from kwlab.freezer import freeze_processes, thaw_processes
from kwlab.kthread import kthread_run, kthread_stop
from kwlab.museum.exhibit import Exhibit
from kwlab.museum.variant import Edit
from kwlab.sched import (
    TASK_INTERRUPTIBLE,
    complete,
    completion_done,
    current,
    init_completion,
    local_irq_save,
    schedule,
    set_current_state,
    wait_for_completion,
)
from kwlab.struct import Struct, kfree
from kwlab.timer import TimerList, mod_timer, timer_delete_sync, timer_setup

__all__ = ["HISTORY"]


def _nothing(work: Any) -> None: ...


def free_in_callback(w: ModuleType) -> None:
    """A work frees itself in its own callback."""
    worker = w.kthread_run_worker(0, "worker")
    work = w.DEFINE_KTHREAD_WORK(kfree)
    w.kthread_queue_work(worker, work)
    w.kthread_destroy_worker(worker)


def sleep_in_callback(w: ModuleType) -> None:
    """A callback sleeps for its own reason while somebody else queues a work."""
    worker = w.kthread_run_worker(0, "worker")
    asking, answer = init_completion("asking"), init_completion("answer")

    def ask(work: Any) -> None:
        set_current_state(TASK_INTERRUPTIBLE)
        complete(asking)
        if not completion_done(answer):
            schedule()
        assert completion_done(answer), "woken out of its own sleep by a queueing that had nothing to do with it"

    w.kthread_queue_work(worker, w.DEFINE_KTHREAD_WORK(ask))
    wait_for_completion(asking)
    task = worker.task
    w.kthread_queue_work(worker, w.DEFINE_KTHREAD_WORK(_nothing))
    complete(answer)
    task.wake_up(TASK_INTERRUPTIBLE)
    w.kthread_destroy_worker(worker)


def queue_twice(w: ModuleType) -> None:
    """Two works, one after the other, and the wait for both."""
    runs: list[int] = []
    worker = w.kthread_run_worker(0, "worker")
    for number in range(2):
        w.kthread_queue_work(worker, w.DEFINE_KTHREAD_WORK(lambda work, number=number: runs.append(number)))
    w.kthread_destroy_worker(worker)
    assert runs == [0, 1], f"ran {runs}"


def requeue_for_ever(w: ModuleType) -> None:
    """A work that queues itself again until it is cancelled: the list is never empty."""
    worker = w.kthread_run_worker(0, "worker")
    work = w.DEFINE_KTHREAD_WORK(lambda work: w.kthread_queue_work(worker, work))
    w.kthread_queue_work(worker, work)
    w.kthread_cancel_work_sync(work)
    w.kthread_destroy_worker(worker)


def mod_from_interrupt(w: ModuleType) -> None:
    """An interrupt handler postpones a delayed work."""
    worker = w.kthread_run_worker(0, "worker")
    dwork = w.DEFINE_KTHREAD_DELAYED_WORK(_nothing)
    w.kthread_queue_delayed_work(worker, dwork, 5)
    with local_irq_save():
        w.kthread_mod_delayed_work(worker, dwork, 10)
    w.kthread_cancel_delayed_work_sync(dwork)
    w.kthread_destroy_worker(worker)


def cancel_while_timer_fires(w: ModuleType) -> None:
    """A cancel meets the timer's callback."""
    worker = w.kthread_run_worker(0, "worker")
    dwork = w.DEFINE_KTHREAD_DELAYED_WORK(_nothing)
    w.kthread_queue_delayed_work(worker, dwork, 1)
    w.kthread_cancel_delayed_work_sync(dwork)
    w.kthread_destroy_worker(worker)


def mod_meets_cancel(w: ModuleType) -> None:
    """One task postpones a delayed work that runs and is armed again, another cancels it."""
    worker = w.kthread_run_worker(0, "worker")
    dwork = w.DEFINE_KTHREAD_DELAYED_WORK(_nothing)
    w.kthread_queue_delayed_work(worker, dwork, 0)
    modder = kthread_run(lambda data: w.kthread_mod_delayed_work(worker, dwork, 1) and 0, None, "modder")
    w.kthread_cancel_delayed_work_sync(dwork)
    kthread_stop(modder)
    w.kthread_cancel_delayed_work_sync(dwork)
    w.kthread_destroy_worker(worker)


def count_references(w: ModuleType) -> None:
    """A driver takes a reference for every queueing that the return values report. Nothing runs: there is no thread."""
    worker = w.KthreadWorker()
    w.kthread_init_worker(worker)
    dwork = w.DEFINE_KTHREAD_DELAYED_WORK(_nothing)
    w.kthread_queue_delayed_work(worker, dwork, 0)
    references = 1
    cancelled: list[bool] = []

    def cancel(data: Any) -> int:
        cancelled.append(w.kthread_cancel_delayed_work_sync(dwork))
        return 0

    canceller = kthread_run(cancel, None, "canceller")
    if not w.kthread_mod_delayed_work(worker, dwork, 0):
        references += 1
    kthread_stop(canceller)
    cancelled.append(w.kthread_cancel_delayed_work_sync(dwork))
    assert cancelled.count(True) == references, f"{references} references taken, {cancelled.count(True)} given back"


def freeze_idle_worker(w: ModuleType) -> None:
    """The system suspends while a freezable worker is idle."""
    worker = w.kthread_run_worker(w.KTW_FREEZABLE, "worker")
    w.kthread_flush_worker(worker)
    freeze_processes()
    thaw_processes()
    w.kthread_destroy_worker(worker)


def destroy_with_armed_timer(w: ModuleType) -> None:
    """The worker is destroyed and a timer is still armed."""
    worker = w.kthread_run_worker(0, "worker")
    dwork = w.DEFINE_KTHREAD_DELAYED_WORK(_nothing)
    w.kthread_queue_delayed_work(worker, dwork, 1)
    w.kthread_destroy_worker(worker)


def cancel_then_destroy(w: ModuleType) -> None:
    """The delayed work is cancelled first."""
    worker = w.kthread_run_worker(0, "worker")
    dwork = w.DEFINE_KTHREAD_DELAYED_WORK(_nothing)
    w.kthread_queue_delayed_work(worker, dwork, 1)
    w.kthread_cancel_delayed_work_sync(dwork)
    w.kthread_destroy_worker(worker)


class Polling(Struct):
    """A driver that polls its device: a timer that queues a work."""

    timer: TimerList


def _driver(w: ModuleType, remove_in_order: bool) -> None:
    worker = w.kthread_run_worker(0, "worker")
    work = w.DEFINE_KTHREAD_WORK(_nothing)
    device = Polling()
    timer_setup(device.timer, lambda timer: w.kthread_queue_work(worker, work))
    mod_timer(device.timer, current().runtime.jiffies() + 1)
    if remove_in_order:
        timer_delete_sync(device.timer)
        w.kthread_cancel_work_sync(work)
        w.kthread_destroy_worker(worker)
    else:
        w.kthread_destroy_worker(worker)
        timer_delete_sync(device.timer)


def remove_worker_first(w: ModuleType) -> None:
    """remove() destroys the worker, then stops the timer that queues to it."""
    _driver(w, remove_in_order=False)


def remove_timer_first(w: ModuleType) -> None:
    """remove() stops the timer, cancels the work, destroys the worker."""
    _driver(w, remove_in_order=True)


_WAKE = "    if worker.current_work is None and worker.task is not None:\n"
_OLD_MOD = Edit(
    """        else:
            WARN_ON(work.worker is not worker, "kthread_mod_delayed_work: the work was queued on another worker before")
    if known:
        _cancel_delayed_work_timer(worker, dwork)
        with worker.lock:
            work.canceling -= 1
            # Only now, after the lock was dropped for the timer: a cancel may have begun meanwhile, and it wins.
            if work.canceling:
""",
    """        else:
            too_late = work.canceling != 0
    if known:
        if not too_late:
            _cancel_delayed_work_timer(worker, dwork)
        with worker.lock:
            if not too_late:
                work.canceling -= 1
            if too_late:
""",
)

HISTORY = (
    Exhibit(
        "B1",
        "Flush needed the work to survive",
        "2.6.36 to 3.4: the loop looked into the work after its callback, so no callback could free its own work.",
        "use after free",
        free_in_callback,
        (Edit("                func(work)\n", "                func(work)\n                work.canceling += 0\n"),),
        fix="The loop keeps the address and compares it; after the call it looks at nothing.",
    ),
    Exhibit(
        "B2",
        "Every queueing woke the thread",
        "Up to 3.6 a queueing woke the thread even while it ran a callback, which may be in a sleep of its own.",
        "assertion",
        sleep_in_callback,
        (Edit(_WAKE, "    if worker.task is not None:\n"),),
        fix="Wake only if current_work is None.",
    ),
    Exhibit(
        "B2b",
        "current_work not cleared when the list is empty",
        "The half of that fix that is easy to forget: with a stale current_work the wake-up is skipped for a thread "
        "that sleeps.",
        "lost wake-up",
        queue_twice,
        (
            Edit(
                "            worker.current_work = work\n",
                "            if work is not None:\n                worker.current_work = work\n",
            ),
        ),
        fix="current_work is stored in the section of the look, whatever it found.",
    ),
    Exhibit(
        "B3",
        "The loop hogged a CPU",
        "Up to 4.10 a work that always queued itself again never let the thread give way: soft lockups.",
        "soft lockup",
        requeue_for_ever,
        (Edit("        me.cond_resched()\n", ""),),
        fix="cond_resched() in every round.",
    ),
    Exhibit(
        "B5",
        "One of two initialisers forgot TIMER_IRQSAFE",
        "Up to 5.9 kthread_init_delayed_work set the timer up without the flag of the static initialiser; mod with "
        "interrupts off then warned.",
        "kernel warning",
        mod_from_interrupt,
        (Edit("kthread_delayed_work_timer_fn, TIMER_IRQSAFE)", "kthread_delayed_work_timer_fn, 0)"),),
        fix="Both initialisers agree.",
    ),
    Exhibit(
        "B6",
        "The timer queued a work that was being cancelled",
        "Fixed in 5.10 (upstream 6993d0fdbee0): the timer's callback did not look at canceling.",
        "invariant",
        cancel_while_timer_fires,
        (
            Edit(
                "        if not work.canceling:\n            kthread_insert",
                "        if True:\n            kthread_insert",
            ),
        ),
        fix="The callback queues only if nobody cancels.",
        options={"invariants": ("I5",)},
    ),
    Exhibit(
        "B7",
        "mod against cancel: a hang",
        "Fixed in 5.14 (upstream 5fa54346caf6): mod looked at canceling before it dropped the lock for the timer. A "
        "suspend hung in state D.",
        "deadlock",
        mod_meets_cancel,
        (_OLD_MOD,),
        fix="Delete the timer first, look at canceling afterwards, under the lock.",
        options={"allow": ("kernel warning",)},  # another sign of it: the timer fires for a work on no list
    ),
    Exhibit(
        "B8",
        'mod said "was idle" when it lost the race',
        "Fixed in 5.14 (upstream d71ba1649fa3): callers that count references took one too many.",
        "assertion",
        count_references,
        (Edit("                was_pending = True\n", "                was_pending = False\n"),),
        fix="True whenever the number of owed runs did not change.",
    ),
    Exhibit(
        "B9",
        "Frozen while TASK_INTERRUPTIBLE",
        "Fixed in 6.11 (upstream e16c7b07784f): with a freeze under way the loop went into the refrigerator with its "
        "announced sleep still standing.",
        "kernel warning",
        freeze_idle_worker,
        (
            Edit(
                "            # Frozen tasks must not carry an announcement into the refrigerator.\n"
                "            me.state = TASK_RUNNING\n",
                "            pass\n",
            ),
        ),
        fix="A third branch that takes the announcement back.",
    ),
    Exhibit(
        "B10",
        "Destroyed with a timer still armed",
        "Since 6.3 destroy WARNs (Zqiang, January 2023); before, the timer touched the freed worker in silence.",
        "use after free",
        destroy_with_armed_timer,
        (
            Edit(
                "    armed, queued = not list_empty(worker.delayed_work_list), ",
                "    armed, queued = False, ",
            ),
        ),
        fixed=cancel_then_destroy,
        fix="Cancel delayed works before destroying; destroy only warns.",
    ),
    Exhibit(
        "B13",
        "Teardown in the wrong order",
        "The wave5 driver until 6.19: remove() destroyed the worker before it stopped the timer that queues to it.",
        "use after free",
        remove_worker_first,
        fixed=remove_timer_first,
        fix="Who queues is stopped first, then the work is cancelled, then the worker destroyed.",
        options={"allow": ("kernel warning",)},  # destroy's warning: what it warns of is to be seen
    ),
)
