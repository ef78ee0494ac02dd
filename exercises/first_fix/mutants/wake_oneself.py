"""queue_one wakes the caller, who is awake."""

# caught by: test_the_work_gets_its_run


def queue_one(worker, work):
    with worker.lock:
        list_add_tail(work.node, worker.work_list)
        wake_up_process(current())
