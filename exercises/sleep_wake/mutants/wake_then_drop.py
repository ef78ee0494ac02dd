"""drop_letter wakes first and drops then: the reader looks, finds nothing, and sleeps on."""

# caught by: test_the_reader_finds_the_letter


def drop_letter(box):
    wake_up_process(box.reader)
    with box.lock:
        box.letters += 1
