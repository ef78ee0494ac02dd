"""run_one takes the work off the list when it has run."""

# caught by: test_the_work_is_off_the_list_first


def run_one(worker):
    while True:
        set_current_state(TASK_INTERRUPTIBLE)
        work = None
        with worker.lock:
            if not list_empty(worker.work_list):
                work = list_first_entry(worker.work_list, KthreadWork, "node")
        if work is not None:
            break
        schedule()
    __set_current_state(TASK_RUNNING)
    work.func(work)
    with worker.lock:
        list_del_init(work.node)
