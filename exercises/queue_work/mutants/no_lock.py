"""queue_work does all of it without the lock: what it reads and links, others write at the same time."""

# caught by: test_no_wake_up_is_missed


def queue_work(worker, work):
    if not list_empty(work.node) or work.canceling:
        return False
    list_add_tail(work.node, worker.work_list)
    work.worker = worker
    if worker.current_work is None and worker.task is not None:
        wake_up_process(worker.task)
    return True
