"""queue_work wakes worker.task without asking whether there is one."""

# caught by: test_a_worker_may_have_no_thread_yet


def queue_work(worker, work):
    with worker.lock:
        if not list_empty(work.node) or work.canceling:
            return False
        list_add_tail(work.node, worker.work_list)
        work.worker = worker
        if worker.current_work is None:
            wake_up_process(worker.task)
        return True
