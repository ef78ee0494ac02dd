"""take_letter never sleeps: it looks into the box all the time."""

# caught by: test_it_sleeps_as_one_must


def take_letter(box):
    while True:
        with box.lock:
            if box.letters:
                box.letters -= 1
                return
