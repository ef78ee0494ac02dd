"""loop_with_stop asks for the stop in the condition of the loop, before it announces its sleep."""

# caught by: test_no_stop_is_lost


def loop_with_stop(worker):
    while not kthread_should_stop():
        set_current_state(TASK_INTERRUPTIBLE)
        work = None
        with worker.lock:
            if not list_empty(worker.work_list):
                work = list_first_entry(worker.work_list, KthreadWork, "node")
                list_del_init(work.node)
        if work is not None:
            __set_current_state(TASK_RUNNING)
            work.func(work)
        else:
            schedule()
    __set_current_state(TASK_RUNNING)
    with worker.lock:
        worker.task = None
    return 0
