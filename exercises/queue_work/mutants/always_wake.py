"""queue_work wakes the thread in any case, as the kernel did up to 3.6."""

# caught by: test_a_sleeping_callback_is_left_alone


def queue_work(worker, work):
    with worker.lock:
        if not list_empty(work.node) or work.canceling:
            return False
        list_add_tail(work.node, worker.work_list)
        work.worker = worker
        if worker.task is not None:
            wake_up_process(worker.task)
        return True
