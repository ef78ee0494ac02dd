"""flush_work puts its work at the head of the list in any case: it comes back before the work has run."""

# caught by: test_a_pending_work_has_run


def flush_work(work):
    worker = work.worker
    if worker is None:
        return
    flush = new_flush_work()
    with worker.lock:
        if not list_empty(work.node) or worker.current_work is work:
            insert_work(worker, flush.work, worker.work_list.next)
        else:
            return
    wait_for_completion(flush.done)
