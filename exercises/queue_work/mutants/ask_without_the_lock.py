"""queue_plain asks whether the work is pending before it takes the lock: two clients both hear no."""

# caught by: test_two_clients_queue_the_same_work


def queue_plain(worker, work):
    if not list_empty(work.node):
        return False
    with worker.lock:
        list_add_tail(work.node, worker.work_list)
        work.worker = worker
        wake_up_process(worker.task)
        return True
