"""loop_with_stop asks for the stop only when the list is empty: it runs what is queued first."""

# caught by: test_the_stop_comes_before_the_list


def loop_with_stop(worker):
    while True:
        set_current_state(TASK_INTERRUPTIBLE)
        work = None
        with worker.lock:
            if not list_empty(worker.work_list):
                work = list_first_entry(worker.work_list, KthreadWork, "node")
                list_del_init(work.node)
        if work is not None:
            __set_current_state(TASK_RUNNING)
            work.func(work)
        elif kthread_should_stop():
            __set_current_state(TASK_RUNNING)
            with worker.lock:
                worker.task = None
            return 0
        else:
            schedule()
