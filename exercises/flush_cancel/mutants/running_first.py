"""flush_work asks first whether the work runs: of a work that runs and is pending it waits for one run only."""

# caught by: test_both_runs_are_waited_for


def flush_work(work):
    worker = work.worker
    if worker is None:
        return
    flush = new_flush_work()
    with worker.lock:
        if worker.current_work is work:
            insert_work(worker, flush.work, worker.work_list.next)
        elif not list_empty(work.node):
            insert_work(worker, flush.work, work.node.next)
        else:
            return
    wait_for_completion(flush.done)
