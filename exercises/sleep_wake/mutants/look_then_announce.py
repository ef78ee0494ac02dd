"""take_letter looks first and announces then: a letter in between is slept through."""

# caught by: test_no_wake_up_is_lost


def take_letter(box):
    while True:
        with box.lock:
            if box.letters:
                box.letters -= 1
                return
        set_current_state(TASK_INTERRUPTIBLE)
        schedule()
