"""Small wrong programs, one classic bug each, for tests of what finds and shows bugs: scenarios for `check`."""

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
    kthread_init_worker,
    kthread_queue_work,
    kthread_run,
    kthread_should_stop,
    kthread_stop,
    list_del_init,
    list_empty,
    list_first_entry,
    raw_spin_lock_init,
    schedule,
    set_current_state,
    wait_for_completion,
)


def _take(worker: KthreadWorker) -> Any:
    with worker.lock:
        work = None
        if not list_empty(worker.work_list):
            work = list_first_entry(worker.work_list, KthreadWork, "node")
            list_del_init(work.node)
        worker.current_work = work
    return work


def looks_before_it_announces(worker: KthreadWorker) -> int:
    """Lost wake-up: the announcement comes behind the look."""
    worker.task = current()
    while True:
        work = _take(worker)
        set_current_state(TASK_INTERRUPTIBLE)
        if kthread_should_stop():
            set_current_state(TASK_RUNNING)
            return 0
        if work is None:
            schedule()
        set_current_state(TASK_RUNNING)
        if work is not None:
            work.func(work)


def asks_for_stop_before_it_announces(worker: KthreadWorker) -> int:
    """Lost stop: the question about stop comes before the announcement."""
    worker.task = current()
    while not kthread_should_stop():
        set_current_state(TASK_INTERRUPTIBLE)
        work = _take(worker)
        if work is None:
            schedule()
        set_current_state(TASK_RUNNING)
        if work is not None:
            work.func(work)
    return 0


def lost_wakeup() -> None:
    worker = KthreadWorker()
    kthread_init_worker(worker)
    done = init_completion("done")
    task = kthread_run(looks_before_it_announces, worker, "worker")
    kthread_queue_work(worker, DEFINE_KTHREAD_WORK(lambda work: complete(done)))
    wait_for_completion(done)
    kthread_stop(task)


def lost_stop() -> None:
    worker = KthreadWorker()
    kthread_init_worker(worker)
    kthread_stop(kthread_run(asks_for_stop_before_it_announces, worker, "worker"))


def double_run() -> None:
    """Two clients queue one work at once; whether it is pending is asked outside of the lock."""
    lock = raw_spin_lock_init("lock")
    queue: list[str] = []
    pending: list[str] = []
    finished = init_completion("finished")

    def client(name: str) -> int:
        with lock:
            free = not pending
        if free:
            with lock:
                pending.append("A")
                queue.append("A")
        complete(finished)
        return 0

    for name in ("client-1", "client-2"):
        kthread_run(client, name, name)
    wait_for_completion(finished)
    wait_for_completion(finished)
    assert queue == ["A"], f"queued once too often: the list is {queue}, so A runs {len(queue)} times for one owed run"
