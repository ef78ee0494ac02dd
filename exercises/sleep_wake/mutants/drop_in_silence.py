"""drop_letter wakes nobody."""

# caught by: test_the_reader_finds_the_letter


def drop_letter(box):
    with box.lock:
        box.letters += 1
