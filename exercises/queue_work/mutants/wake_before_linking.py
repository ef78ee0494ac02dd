"""queue_plain wakes the thread before the section in which it links."""

# caught by: test_every_queued_work_runs


def queue_plain(worker, work):
    wake_up_process(worker.task)
    with worker.lock:
        if not list_empty(work.node):
            return False
        list_add_tail(work.node, worker.work_list)
        work.worker = worker
        return True
