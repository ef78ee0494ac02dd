"""queue_one wakes first and links then: the thread may look and fall asleep in between."""

# caught by: test_the_work_gets_its_run


def queue_one(worker, work):
    wake_up_process(worker.task)
    with worker.lock:
        list_add_tail(work.node, worker.work_list)
