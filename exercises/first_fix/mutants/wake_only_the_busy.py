"""queue_one has the condition the wrong way round: it wakes the thread only while it runs a work."""

# caught by: test_the_work_gets_its_run


def queue_one(worker, work):
    with worker.lock:
        list_add_tail(work.node, worker.work_list)
        if worker.current_work is not None:
            wake_up_process(worker.task)
