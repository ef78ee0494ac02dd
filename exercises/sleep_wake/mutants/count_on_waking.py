"""reader counts every waking as a letter, a stop too."""

# caught by: test_no_letter_is_lost


def reader(box):
    while True:
        set_current_state(TASK_INTERRUPTIBLE)
        if kthread_should_stop():
            break
        with box.lock:
            empty = not box.letters
        if empty:
            schedule()
        with box.lock:
            box.letters -= 1
            box.taken += 1
    __set_current_state(TASK_RUNNING)
    return 0
