"""Points for queue_work: clients that queue with the answer's functions, and the worker's own loop."""

from typing import Any

from kwlab import (
    DEFINE_KTHREAD_WORK,
    TASK_INTERRUPTIBLE,
    KthreadWork,
    KthreadWorker,
    complete,
    current,
    init_completion,
    kthread_cancel_work_sync,
    kthread_create,
    kthread_init_worker,
    kthread_run,
    kthread_stop,
    kthread_worker_fn,
    list_del_init,
    list_empty,
    schedule,
    set_current_state,
    wait_for_completion,
    wake_up_process,
)
from kwlab.explore import join
from kwlab.explore.quiet import settle
from kwlab.grade.testing import FATAL, Boxed, Functions, points, promise


def new_worker() -> KthreadWorker:
    worker = KthreadWorker()
    kthread_init_worker(worker)
    worker.task = kthread_create(kthread_worker_fn, worker, "worker")
    wake_up_process(worker.task)
    return worker


def without_thread() -> KthreadWorker:
    worker = KthreadWorker()
    kthread_init_worker(worker)
    return worker


def noting(name: str, ran: list[str], done: Any) -> KthreadWork:
    def note(work: KthreadWork) -> None:
        ran.append(name)
        complete(done)

    return DEFINE_KTHREAD_WORK(note)


def two_works(queue: Any) -> None:
    ran: list[str] = []
    worker, done = new_worker(), init_completion("a work has run")
    for name in "AB":
        work = noting(name, ran, done)
        promise(queue(worker, work) is True, "returns", "it linked the work, and did not return True")
        promise(work.worker is worker, "worker", "work.worker is not the worker that the work was queued on")
    wait_for_completion(done)
    wait_for_completion(done)
    kthread_stop(worker.task)
    promise(ran == ["A", "B"], "order", f"queued A, then B; they ran in the order {' '.join(ran)}")


def plain_two(answer: Functions) -> None:
    """Main queues A and B with queue_plain() and waits for both."""
    two_works(answer.queue_plain)


def plain_twice(answer: Functions) -> None:
    """Nobody takes works off; main calls queue_plain() twice for the same work."""
    worker = without_thread()
    worker.task = current()
    work = noting("A", [], init_completion())
    promise(answer.queue_plain(worker, work) is True, "returns", "it linked the work, and did not return True")
    promise(answer.queue_plain(worker, work) is False, "pending", PENDING)
    list_del_init(work.node)


PENDING = "the work is on the list, and queueing it again did not return False"


def plain_race(answer: Functions) -> None:
    """Main and a second thread call queue_plain() for the same work at the same time."""
    race(answer.queue_plain)


def race(queue: Any) -> None:
    ran: list[str] = []
    worker, done = new_worker(), init_completion("A has run")
    settle()  # two_works has what can come while the thread begins
    work = noting("A", ran, done)
    returned: list[Any] = []
    other = kthread_run(lambda data: returned.append(queue(worker, work)) or 0, None, "client")
    returned.append(queue(worker, work))
    join(other)
    for value in returned:
        if value is True:
            wait_for_completion(done)
    kthread_stop(worker.task)
    promise(len(ran) == returned.count(True), "runs", f"{returned.count(True)} calls returned True; {len(ran)} runs")


def work_two(answer: Functions) -> None:
    """Main queues A and B with queue_work() and waits for both."""
    two_works(answer.queue_work)


def work_race(answer: Functions) -> None:
    """Main and a second thread call queue_work() for the same work at the same time."""
    race(answer.queue_work)


def no_thread_yet(answer: Functions) -> None:
    """Main calls queue_work() while the worker has no thread; the thread comes later."""
    worker, done = without_thread(), init_completion("A has run")
    work = noting("A", [], done)
    promise(answer.queue_work(worker, work) is True, "returns", "it linked the work, and did not return True")
    promise(answer.queue_work(worker, work) is False, "pending", PENDING)
    worker.task = kthread_create(kthread_worker_fn, worker, "worker")
    wake_up_process(worker.task)
    wait_for_completion(done)
    kthread_stop(worker.task)


def being_cancelled(answer: Functions) -> None:
    """A queues itself with queue_work() while it runs, and main cancels it."""
    worker, begun = new_worker(), init_completion("A has begun")
    runs: list[int] = []

    def again(work: KthreadWork) -> None:
        runs.append(len(runs))
        if len(runs) == 1:
            complete(begun)
        if len(runs) < 3:
            with worker.lock:
                cancelled = work.canceling > 0
            queued = answer.queue_work(worker, work)
            promise(not (cancelled and queued), "canceling", "it queued a work that was being cancelled")

    work = DEFINE_KTHREAD_WORK(again)
    answer.queue_work(worker, work)
    wait_for_completion(begun)
    kthread_cancel_work_sync(work)
    before = len(runs)
    with worker.lock:
        promise(list_empty(work.node), "canceling", "the cancel is over, and the work is on the list")
    kthread_stop(worker.task)
    promise(len(runs) == before, "canceling", "the work ran after its cancel was over")


def callback_sleeps(answer: Functions) -> None:
    """A callback sleeps for a reason of its own, while main calls queue_work() for another work."""
    answered: list[str] = []
    worker = new_worker()
    asking, moment, done = init_completion("asking"), init_completion("a moment"), init_completion("B has run")

    def ask(work: KthreadWork) -> None:
        set_current_state(TASK_INTERRUPTIBLE)
        complete(asking)
        if not answered:
            schedule()
        promise(answered, "disturbed", "the queueing of another work woke a callback out of its own sleep")

    answer.queue_work(worker, DEFINE_KTHREAD_WORK(ask))
    wait_for_completion(asking)
    answer.queue_work(worker, noting("B", [], done))
    complete(moment)  # others may be chosen here
    answered.append("yes")
    wake_up_process(worker.task)
    wait_for_completion(done)
    kthread_stop(worker.task)


@points(3, part=1, caps=True)
def test_every_queued_work_runs(answer: Boxed) -> None:
    """What `queue_plain` has linked runs, in order: in no interleaving the thread sleeps on."""
    answer.explore(plain_two).excludes(*FATAL, "order", "exception")


@points(1, part=1)
def test_it_returns_true_and_remembers_the_worker(answer: Boxed) -> None:
    """It returns True and stores the worker in `work.worker`."""
    answer.explore(plain_two).excludes("returns", "worker")


@points(1, part=1)
def test_a_pending_work_is_refused(answer: Boxed) -> None:
    """Of a work that is on the list it returns False, and changes nothing."""
    answer.explore(plain_twice).excludes("pending", "returns", "list corruption")


@points(2, part=1)
def test_two_clients_queue_the_same_work(answer: Boxed) -> None:
    """Two clients with the same work: it runs once for every True."""
    answer.explore(plain_race).excludes(*FATAL, "runs")


@points(3, part=2, caps=True)
def test_no_wake_up_is_missed(answer: Boxed) -> None:
    """`queue_work` wakes where a wake-up is needed: every work runs, in order, once for every True."""
    answer.explore(work_two).excludes(*FATAL, "order", "returns", "worker", "exception")
    answer.explore(work_race).excludes(*FATAL, "runs", "exception")


@points(2, part=2)
def test_a_sleeping_callback_is_left_alone(answer: Boxed) -> None:
    """While a work runs the thread is not woken: the callback may be in a sleep of its own."""
    answer.explore(callback_sleeps).excludes("disturbed")


@points(1, part=2)
def test_a_work_being_cancelled_is_refused(answer: Boxed) -> None:
    """While a work is being cancelled it returns False and links nothing."""
    answer.explore(being_cancelled).excludes("canceling")


@points(1, part=2)
def test_a_worker_may_have_no_thread_yet(answer: Boxed) -> None:
    """Without a thread the work is linked, and runs when there is one."""
    answer.explore(no_thread_yet).excludes(*FATAL, "returns", "pending", "exception")
