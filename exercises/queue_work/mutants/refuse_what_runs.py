"""queue_work refuses a work that runs: the run that is owed is lost."""

# caught by: test_no_wake_up_is_missed


def queue_work(worker, work):
    with worker.lock:
        if not list_empty(work.node) or work.canceling or worker.current_work is not None:
            return False
        list_add_tail(work.node, worker.work_list)
        work.worker = worker
        if worker.task is not None:
            wake_up_process(worker.task)
        return True
