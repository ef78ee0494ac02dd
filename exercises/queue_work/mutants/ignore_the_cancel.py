"""queue_work does not look at canceling."""

# caught by: test_a_work_being_cancelled_is_refused


def queue_work(worker, work):
    with worker.lock:
        if not list_empty(work.node):
            return False
        list_add_tail(work.node, worker.work_list)
        work.worker = worker
        if worker.current_work is None and worker.task is not None:
            wake_up_process(worker.task)
        return True
