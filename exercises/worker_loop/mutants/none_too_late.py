"""loop_with_current_work stores None behind the lock: a queueing in between skips the wake-up."""

# caught by: test_a_skipped_wake_up_is_not_missed


def loop_with_current_work(worker):
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
                worker.current_work = work
        if work is not None:
            __set_current_state(TASK_RUNNING)
            work.func(work)
        else:
            with worker.lock:
                worker.current_work = None
            schedule()
