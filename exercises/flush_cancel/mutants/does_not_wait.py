"""cancel_work does not wait for a work that runs."""

# caught by: test_a_running_work_is_over


def cancel_work(work):
    worker = work.worker
    if worker is None:
        return False
    with worker.lock:
        pending = not list_empty(work.node)
        if pending:
            list_del_init(work.node)
    return pending
