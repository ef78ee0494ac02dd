"""take_letter announces once, before the loop: from the second round on it does not sleep any more."""

# caught by: test_it_sleeps_as_one_must


def take_letter(box):
    set_current_state(TASK_INTERRUPTIBLE)
    while True:
        with box.lock:
            if box.letters:
                box.letters -= 1
                break
        schedule()
        with box.lock:
            pass
    __set_current_state(TASK_RUNNING)
