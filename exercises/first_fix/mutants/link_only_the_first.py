"""queue_one links only if the list is empty: the work of a second client is dropped."""

# caught by: test_two_clients_at_once


def queue_one(worker, work):
    with worker.lock:
        if list_empty(worker.work_list):
            list_add_tail(work.node, worker.work_list)
            wake_up_process(worker.task)
