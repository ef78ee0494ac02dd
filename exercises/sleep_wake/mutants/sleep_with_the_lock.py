"""take_letter sleeps with the lock held: nobody can drop a letter."""

# caught by: test_it_sleeps_as_one_must


def take_letter(box):
    with box.lock:
        while True:
            set_current_state(TASK_INTERRUPTIBLE)
            if box.letters:
                box.letters -= 1
                break
            schedule()
    __set_current_state(TASK_RUNNING)
