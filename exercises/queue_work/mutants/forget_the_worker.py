"""queue_plain does not store the worker in the work: no flush will find it."""

# caught by: test_it_returns_true_and_remembers_the_worker


def queue_plain(worker, work):
    with worker.lock:
        if not list_empty(work.node):
            return False
        list_add_tail(work.node, worker.work_list)
        wake_up_process(worker.task)
        return True
