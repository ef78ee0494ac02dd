"""cancel_work never counts down again: the work can never be queued any more."""

# caught by: test_afterwards_it_can_be_queued_again


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
    return pending
