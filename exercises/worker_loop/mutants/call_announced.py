"""run_one does not take its announcement back before the call."""

# caught by: test_the_callback_runs_without_the_lock


def run_one(worker):
    while True:
        set_current_state(TASK_INTERRUPTIBLE)
        work = None
        with worker.lock:
            if not list_empty(worker.work_list):
                work = list_first_entry(worker.work_list, KthreadWork, "node")
                list_del_init(work.node)
        if work is not None:
            break
        schedule()
    work.func(work)
    __set_current_state(TASK_RUNNING)
