"""cancel_work flushes a pending work in place of taking it off."""

# caught by: test_a_pending_work_never_runs


def cancel_work(work):
    worker = work.worker
    if worker is None:
        return False
    with worker.lock:
        pending = not list_empty(work.node)
        work.canceling += 1
    flush_work(work)
    with worker.lock:
        work.canceling -= 1
    return pending
