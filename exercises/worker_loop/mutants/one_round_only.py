"""loop_with_stop goes back to sleep after every work, without another look."""

# caught by: test_every_work_runs


def loop_with_stop(worker):
    while True:
        set_current_state(TASK_INTERRUPTIBLE)
        if kthread_should_stop():
            __set_current_state(TASK_RUNNING)
            with worker.lock:
                worker.task = None
            return 0
        work = None
        with worker.lock:
            if not list_empty(worker.work_list):
                work = list_first_entry(worker.work_list, KthreadWork, "node")
                list_del_init(work.node)
        if work is not None:
            __set_current_state(TASK_RUNNING)
            work.func(work)
            set_current_state(TASK_INTERRUPTIBLE)
        schedule()
