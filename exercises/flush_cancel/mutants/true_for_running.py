"""cancel_work returns True if the work was pending or running."""

# caught by: test_it_returns_whether_it_was_pending


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
            work.canceling += 1
    if running:
        flush_work(work)
        with worker.lock:
            work.canceling -= 1
    return pending or running
