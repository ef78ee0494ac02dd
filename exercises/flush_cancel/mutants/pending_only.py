"""flush_work does not wait for a work that runs."""

# caught by: test_a_running_work_has_ended


def flush_work(work):
    worker = work.worker
    if worker is None:
        return
    flush = new_flush_work()
    with worker.lock:
        if not list_empty(work.node):
            insert_work(worker, flush.work, work.node.next)
        else:
            return
    wait_for_completion(flush.done)
