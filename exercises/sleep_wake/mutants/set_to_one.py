"""drop_letter writes 1 in place of adding 1: of two letters one is lost."""

# caught by: test_two_writers_at_once


def drop_letter(box):
    with box.lock:
        box.letters = 1
    wake_up_process(box.reader)
