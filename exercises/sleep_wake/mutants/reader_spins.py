"""reader asks and looks all the time, as the loop of the article does."""

# caught by: test_the_reader_sleeps


def reader(box):
    while not kthread_should_stop():
        with box.lock:
            if box.letters:
                box.letters -= 1
                box.taken += 1
    return 0
