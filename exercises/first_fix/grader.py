"""Points for first_fix: the two functions, called in every interleaving with the worker's own loop."""

from kwlab import (
    DEFINE_KTHREAD_WORK,
    KthreadWorker,
    complete,
    init_completion,
    kthread_init_worker,
    kthread_queue_work,
    kthread_run,
    kthread_stop,
    kthread_worker_fn,
    wait_for_completion,
)
from kwlab.explore import join
from kwlab.explore.quiet import settle
from kwlab.grade.testing import FATAL, Boxed, Functions, points, promise


def new_worker() -> KthreadWorker:
    worker = KthreadWorker()
    kthread_init_worker(worker)
    worker.task = kthread_run(kthread_worker_fn, worker, "worker")
    return worker


def one_work(answer: Functions) -> None:
    """Main queues one work with queue_one(), waits until it has run, and stops the thread."""
    worker, done = new_worker(), init_completion("A has run")
    answer.queue_one(worker, DEFINE_KTHREAD_WORK(lambda work: complete(done)))
    wait_for_completion(done)
    kthread_stop(worker.task)


def two_clients(answer: Functions) -> None:
    """Main and a second thread queue one work each with queue_one(); main waits for both and stops the thread."""
    worker, done = new_worker(), init_completion("a work has run")
    settle()  # one_work has what can come while the thread begins
    works = [DEFINE_KTHREAD_WORK(lambda work: complete(done)) for _ in range(2)]

    def client(work: object) -> int:
        answer.queue_one(worker, work)
        return 0

    second = kthread_run(client, works[1], "client")
    answer.queue_one(worker, works[0])
    for _ in works:
        wait_for_completion(done)
    join(second)
    kthread_stop(worker.task)


def two_queued(answer: Functions) -> None:
    """Main queues A and B, and calls finish()."""
    ran: list[str] = []
    worker = new_worker()
    for name in "AB":
        kthread_queue_work(worker, DEFINE_KTHREAD_WORK(lambda work, name=name: ran.append(name)))
    answer.finish(worker)
    promise(ran == ["A", "B"], "runs", f"when finish() returned, {' and '.join(ran) or 'nothing'} had run, not A and B")


@points(2, part=1, caps=True)
def test_the_work_gets_its_run(answer: Boxed) -> None:
    """After `queue_one` the work runs: in no interleaving the thread sleeps on."""
    answer.explore(one_work).excludes(*FATAL)


@points(2, part=1)
def test_two_clients_at_once(answer: Boxed) -> None:
    """With two clients at the same time, both works run."""
    answer.explore(two_clients).excludes(*FATAL)


@points(2, part=2, caps=True)
def test_finish_comes_back(answer: Boxed) -> None:
    """`finish` returns, and the thread has ended then: in no interleaving anybody waits for ever."""
    answer.explore(two_queued).excludes(*FATAL)


@points(2, part=2)
def test_everything_queued_has_run(answer: Boxed) -> None:
    """When `finish` returns, every work that was queued before has run."""
    answer.explore(two_queued).excludes("runs", "work left behind")
