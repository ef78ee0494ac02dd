"""queue_plain links a pending work again."""

# caught by: test_a_pending_work_is_refused


def queue_plain(worker, work):
    with worker.lock:
        list_add_tail(work.node, worker.work_list)
        work.worker = worker
        wake_up_process(worker.task)
        return True
