"""Points for worker_loop: each part's loop as a worker's thread, in every interleaving."""

from errno import EINTR
from typing import Any

from kwlab import (
    DEFINE_KTHREAD_WORK,
    TASK_INTERRUPTIBLE,
    TASK_RUNNING,
    KthreadWork,
    KthreadWorker,
    complete,
    current,
    init_completion,
    kfree,
    kthread_create,
    kthread_flush_work,
    kthread_flush_worker,
    kthread_init_worker,
    kthread_queue_work,
    kthread_should_stop,
    kthread_stop,
    list_add_tail,
    list_del_init,
    list_empty,
    list_first_entry,
    schedule,
    set_current_state,
    wait_for_completion,
    wake_up_process,
)
from kwlab.grade.testing import FATAL, Boxed, Functions, points, promise, sleep_until


def new_worker(loop: Any) -> KthreadWorker:
    """A worker whose thread runs ``loop(worker)``."""
    worker = KthreadWorker()
    kthread_init_worker(worker)
    worker.task = kthread_create(loop, worker, "worker")
    wake_up_process(worker.task)
    return worker


def one_by_one(run_one: Any, times: int) -> Any:
    """A thread's function: so many calls of run_one, then sleep until stopped."""

    def loop(worker: KthreadWorker) -> int:
        for _ in range(times):
            run_one(worker)
            promise(current().state == TASK_RUNNING, "state", "it came back in another state than TASK_RUNNING")
        sleep_until(kthread_should_stop)
        return 0

    return loop


def link(worker: KthreadWorker, work: KthreadWork) -> None:
    """Queue in the plainest way: link, and wake in any case."""
    with worker.lock:
        list_add_tail(work.node, worker.work_list)
        wake_up_process(worker.task)


def take_back(worker: KthreadWorker) -> None:
    """Unlink what was not run."""
    while not list_empty(worker.work_list):
        list_del_init(list_first_entry(worker.work_list, KthreadWork, "node").node)


def noting(name: str, ran: list[str], done: Any = None) -> KthreadWork:
    """A work that notes its name, and completes `done`."""

    def note(work: KthreadWork) -> None:
        ran.append(name)
        if done is not None:
            complete(done)

    return DEFINE_KTHREAD_WORK(note)


# ------------------------------------------------------------------------------------------------------- scenarios


def two_are_there(answer: Functions) -> None:
    """Works A and B are linked; a thread calls run_one() twice."""
    ran: list[str] = []
    done = init_completion("a work has run")
    worker = KthreadWorker()
    kthread_init_worker(worker)
    for name in "AB":
        list_add_tail(noting(name, ran, done).node, worker.work_list)
    worker.task = kthread_create(one_by_one(answer.run_one, 2), worker, "worker")
    wake_up_process(worker.task)
    wait_for_completion(done)
    wait_for_completion(done)
    kthread_stop(worker.task)
    promise(ran == ["A", "B"], "order", f"the works ran in the order {' '.join(ran)}, not A B")


def one_comes(answer: Functions) -> None:
    """A thread calls run_one(); main links a work and wakes the thread."""
    done = init_completion("A has run")
    worker = new_worker(one_by_one(answer.run_one, 1))
    link(worker, noting("A", [], done))
    wait_for_completion(done)
    kthread_stop(worker.task)


def callback_looks_around(answer: Functions) -> None:
    """A thread calls run_one(); the callback takes the worker's lock and looks at its work and at its own state."""
    done = init_completion("A has run")
    worker = new_worker(one_by_one(answer.run_one, 1))

    def look(work: KthreadWork) -> None:
        promise(list_empty(work.node), "unlinked", "while the callback runs, its work is still on the list")
        promise(current().state == TASK_RUNNING, "state", "the callback is called in another state than TASK_RUNNING")
        with worker.lock:
            pass
        complete(done)

    link(worker, DEFINE_KTHREAD_WORK(look))
    wait_for_completion(done)
    kthread_stop(worker.task)


def stop_an_idle_one(answer: Functions) -> None:
    """A thread runs loop_with_stop() with nothing to do, and main stops it."""
    worker = new_worker(answer.loop_with_stop)
    task = worker.task
    returned = kthread_stop(task)
    promise(returned in (0, -EINTR), "returns", f"loop_with_stop() returned {returned}, not 0")
    promise(returned == -EINTR or worker.task is None, "task", "the thread has ended, and worker.task is not None")


def two_then_stop(answer: Functions) -> None:
    """A thread runs loop_with_stop(); main links A and B, waits until both have run, and stops it."""
    ran: list[str] = []
    done = init_completion("a work has run")
    worker = new_worker(answer.loop_with_stop)
    for name in "AB":
        link(worker, noting(name, ran, done))
    wait_for_completion(done)
    wait_for_completion(done)
    kthread_stop(worker.task)
    promise(ran == ["A", "B"], "order", f"the works ran in the order {' '.join(ran)}, not A B")


def stop_with_works_left(answer: Functions) -> None:
    """A thread runs loop_with_stop(); while A runs the thread is told to stop, and B is still queued."""
    ran: list[str] = []
    worker = new_worker(answer.loop_with_stop)
    task = worker.task

    def until_told(work: KthreadWork) -> None:
        ran.append("A")
        sleep_until(kthread_should_stop)

    with worker.lock:
        list_add_tail(DEFINE_KTHREAD_WORK(until_told).node, worker.work_list)
        list_add_tail(noting("B", ran).node, worker.work_list)
        wake_up_process(worker.task)
    kthread_stop(task)
    promise("B" not in ran, "stop first", "B was run although the thread had been told to stop before")
    take_back(worker)


def queue_two(answer: Functions) -> None:
    """A thread runs loop_with_current_work(); main queues A and B with kthread_queue_work() and waits for both."""
    ran: list[str] = []
    done = init_completion("a work has run")
    worker = new_worker(answer.loop_with_current_work)
    for name in "AB":
        kthread_queue_work(worker, noting(name, ran, done))
    wait_for_completion(done)
    wait_for_completion(done)
    kthread_stop(worker.task)
    promise(ran == ["A", "B"], "order", f"the works ran in the order {' '.join(ran)}, not A B")


def callback_sleeps(answer: Functions) -> None:
    """A thread runs loop_with_current_work(); a callback sleeps for a reason of its own while main queues B."""
    answered: list[str] = []
    worker = new_worker(answer.loop_with_current_work)
    asking, moment, done = init_completion("asking"), init_completion("a moment"), init_completion("B has run")

    def ask(work: KthreadWork) -> None:
        set_current_state(TASK_INTERRUPTIBLE)
        complete(asking)
        if not answered:
            schedule()
        promise(answered, "disturbed", "a queueing woke a callback out of its own sleep")

    kthread_queue_work(worker, DEFINE_KTHREAD_WORK(ask))
    wait_for_completion(asking)
    kthread_queue_work(worker, noting("B", [], done))
    complete(moment)  # others may be chosen here
    answered.append("yes")
    wake_up_process(worker.task)
    wait_for_completion(done)
    kthread_stop(worker.task)


def callback_asks_what_runs(answer: Functions) -> None:
    """A thread runs loop_with_current_work(); the callback reads current_work."""
    done = init_completion("A has run")
    worker = new_worker(answer.loop_with_current_work)

    def look(work: KthreadWork) -> None:
        promise(worker.current_work is work, "current_work", "while a work runs, current_work is not that work")
        complete(done)

    kthread_queue_work(worker, DEFINE_KTHREAD_WORK(look))
    wait_for_completion(done)
    kthread_stop(worker.task)


def callback_frees_its_work(answer: Functions) -> None:
    """A thread runs loop_with_current_work(); the callback frees its work."""
    done = init_completion("A has run")
    worker = new_worker(answer.loop_with_current_work)

    def free(work: KthreadWork) -> None:
        kfree(work)
        complete(done)

    kthread_queue_work(worker, DEFINE_KTHREAD_WORK(free))
    wait_for_completion(done)
    kthread_stop(worker.task)


def stop_the_complete_one(answer: Functions) -> None:
    """A thread runs complete_loop() with nothing to do, and main stops it."""
    kthread_stop(new_worker(answer.complete_loop).task)


def flush_the_complete_one(answer: Functions) -> None:
    """A thread runs complete_loop(); main queues A and B, flushes the worker, and stops it."""
    ran: list[str] = []
    worker = new_worker(answer.complete_loop)
    for name in "AB":
        kthread_queue_work(worker, noting(name, ran))
    kthread_flush_worker(worker)
    promise(ran == ["A", "B"], "order", f"behind the flush the works that ran are {' '.join(ran) or 'none'}, not A B")
    kthread_stop(worker.task)


def queue_itself_again(answer: Functions) -> None:
    """A thread runs complete_loop(); A queues itself once more, and main flushes A twice."""
    ran: list[str] = []
    worker = new_worker(answer.complete_loop)

    def again(work: KthreadWork) -> None:
        ran.append("A")
        if len(ran) < 2:
            promise(kthread_queue_work(worker, work), "again", "a work that runs could not be queued again")

    work = DEFINE_KTHREAD_WORK(again)
    kthread_queue_work(worker, work)
    kthread_flush_work(work)
    kthread_flush_work(work)
    kthread_stop(worker.task)
    promise(ran == ["A", "A"], "again", f"A was queued twice and ran {len(ran)} times")


# ----------------------------------------------------------------------------------------------------------- tests


@points(1, part=1)
def test_works_run_in_order(answer: Boxed) -> None:
    """`run_one` runs the first work on the list, once."""
    answer.explore(two_are_there).excludes("order", "exception", *FATAL)


@points(2, part=1, caps=True)
def test_no_wake_up_is_lost(answer: Boxed) -> None:
    """A work that comes at any moment is run: in no interleaving the thread sleeps on."""
    answer.explore(one_comes).excludes(*FATAL)


@points(1, part=1)
def test_it_sleeps(answer: Boxed) -> None:
    """While the list is empty it sleeps, and holds no lock meanwhile."""
    answer.explore(one_comes).excludes("endless", "sleeping while atomic", "recursive lock")


@points(1, part=1)
def test_the_callback_runs_without_the_lock(answer: Boxed) -> None:
    """The callback is called without the lock, in TASK_RUNNING: it may queue, and it may sleep."""
    answer.explore(callback_looks_around).excludes("recursive lock", "sleeping while atomic", "state")


@points(1, part=1)
def test_the_work_is_off_the_list_first(answer: Boxed) -> None:
    """The work is unlinked before its callback runs, so it may be queued again from there on."""
    answer.explore(callback_looks_around).excludes("unlinked")


@points(2, part=2, caps=True)
def test_no_stop_is_lost(answer: Boxed) -> None:
    """`loop_with_stop` ends when it is told to, whenever that is, and returns 0."""
    answer.explore(stop_an_idle_one).excludes(*FATAL, "returns", "endless")


@points(2, part=2)
def test_every_work_runs(answer: Boxed) -> None:
    """Works run in order as they come, until the stop."""
    answer.explore(two_then_stop).excludes(*FATAL, "order", "endless")


@points(1, part=2)
def test_the_stop_comes_before_the_list(answer: Boxed) -> None:
    """Told to stop, it runs nothing more: what is queued stays queued."""
    answer.explore(stop_with_works_left).excludes("stop first")


@points(1, part=2)
def test_the_worker_has_no_thread_then(answer: Boxed) -> None:
    """When it leaves, `worker.task` is None."""
    answer.explore(stop_an_idle_one).excludes("task")


@points(2, part=3, caps=True)
def test_a_skipped_wake_up_is_not_missed(answer: Boxed) -> None:
    """`kthread_queue_work` skips the wake-up while `current_work` is set: no work is left lying for it."""
    answer.explore(queue_two).excludes(*FATAL, "order", "endless")


@points(2, part=3)
def test_a_callback_sleeps_undisturbed(answer: Boxed) -> None:
    """While a callback sleeps, `current_work` is set, so a queueing does not wake it."""
    answer.explore(callback_sleeps).excludes("disturbed")


@points(1, part=3)
def test_current_work_is_what_runs(answer: Boxed) -> None:
    """In the callback `current_work` is the work."""
    answer.explore(callback_asks_what_runs).excludes("current_work")


@points(1, part=3)
def test_the_work_is_not_touched_afterwards(answer: Boxed) -> None:
    """After the call the loop does not look into the work: the callback may have freed it."""
    answer.explore(callback_frees_its_work).excludes("use after free", "exception")


@points(2, part=4, caps=True)
def test_the_announcement_has_a_barrier(answer: Boxed) -> None:
    """No stop is lost, not even where a plain store may wait and be seen later: the announcement has a barrier."""
    answer.explore(stop_the_complete_one, memory="tso").excludes(*FATAL, "endless")


@points(2, part=4)
def test_a_flush_works(answer: Boxed) -> None:
    """A flush comes back when everything before it has run, in order."""
    answer.explore(flush_the_complete_one).excludes(*FATAL, "order", "endless")


@points(2, part=4)
def test_a_work_may_queue_itself(answer: Boxed) -> None:
    """A work that queues itself while it runs is run once more."""
    answer.explore(queue_itself_again).excludes(*FATAL, "again", "endless")
