"""run_one looks first and announces then: a work that comes in between is slept through."""

# caught by: test_no_wake_up_is_lost


def run_one(worker):
    while True:
        work = None
        with worker.lock:
            if not list_empty(worker.work_list):
                work = list_first_entry(worker.work_list, KthreadWork, "node")
                list_del_init(work.node)
        if work is not None:
            break
        set_current_state(TASK_INTERRUPTIBLE)
        schedule()
    work.func(work)
