"""loop_with_current_work looks into the work after the call."""

# caught by: test_the_work_is_not_touched_afterwards


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
            if not list_empty(work.node):
                continue
        else:
            schedule()
