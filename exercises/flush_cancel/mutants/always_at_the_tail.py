"""flush_work puts its work at the tail: it waits for everything that is queued."""

# caught by: test_it_waits_for_no_more_than_it_must


def flush_work(work):
    worker = work.worker
    if worker is None:
        return
    flush = new_flush_work()
    with worker.lock:
        if not list_empty(work.node) or worker.current_work is work:
            insert_work(worker, flush.work, worker.work_list)
        else:
            return
    wait_for_completion(flush.done)
