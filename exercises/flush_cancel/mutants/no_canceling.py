"""cancel_work does not count canceling: the work queues itself again while it waits."""

# caught by: test_a_work_cannot_queue_itself_meanwhile


def cancel_work(work):
    worker = work.worker
    if worker is None:
        return False
    with worker.lock:
        pending = not list_empty(work.node)
        if pending:
            list_del_init(work.node)
        running = worker.current_work is work
    if running:
        flush_work(work)
    return pending
