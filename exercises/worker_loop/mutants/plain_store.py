"""complete_loop announces its sleep with the plain store."""

# caught by: test_the_announcement_has_a_barrier


def complete_loop(worker):
    while True:
        __set_current_state(TASK_INTERRUPTIBLE)
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
            schedule()
