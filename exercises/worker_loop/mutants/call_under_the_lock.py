"""run_one calls the callback with the lock held."""

# caught by: test_the_callback_runs_without_the_lock


def run_one(worker):
    while True:
        set_current_state(TASK_INTERRUPTIBLE)
        with worker.lock:
            if not list_empty(worker.work_list):
                work = list_first_entry(worker.work_list, KthreadWork, "node")
                list_del_init(work.node)
                __set_current_state(TASK_RUNNING)
                work.func(work)
                return
        schedule()
