"""queue_work reads current_work before it takes the lock: it may have changed by the time of the linking."""

# caught by: test_no_wake_up_is_missed


def queue_work(worker, work):
    idle = worker.current_work is None
    with worker.lock:
        if not list_empty(work.node) or work.canceling:
            return False
        list_add_tail(work.node, worker.work_list)
        work.worker = worker
        if idle and worker.task is not None:
            wake_up_process(worker.task)
        return True
