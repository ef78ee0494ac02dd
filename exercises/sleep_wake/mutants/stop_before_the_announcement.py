"""reader asks for a stop before it announces its sleep: a stop in between is slept through."""

# caught by: test_no_stop_is_lost


def reader(box):
    while not kthread_should_stop():
        set_current_state(TASK_INTERRUPTIBLE)
        with box.lock:
            found = box.letters > 0
            if found:
                box.letters -= 1
                box.taken += 1
        if not found:
            schedule()
    __set_current_state(TASK_RUNNING)
    return 0
