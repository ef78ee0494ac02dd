"""take_letter sleeps once and takes whatever is there: woken for nothing, it takes a letter that is not there."""

# caught by: test_a_wake_up_for_nothing_is_no_letter


def take_letter(box):
    set_current_state(TASK_INTERRUPTIBLE)
    with box.lock:
        empty = not box.letters
    if empty:
        schedule()
    __set_current_state(TASK_RUNNING)
    with box.lock:
        box.letters -= 1
