"""take_letter returns with its announcement standing, when a letter was there at once."""

# caught by: test_it_comes_back_running


def take_letter(box):
    while True:
        set_current_state(TASK_INTERRUPTIBLE)
        with box.lock:
            if box.letters:
                box.letters -= 1
                return
        schedule()
