"""Who drops and takes letters beside an answer: much like what part 1 and part 2 ask for."""

from typing import Any

from kwlab import wake_up_process
from kwlab.grade.testing import sleep_until


def drop(box: Any) -> None:
    with box.lock:
        box.letters += 1
    wake_up_process(box.reader)


def take(box: Any) -> None:
    def one() -> bool:
        with box.lock:
            found = box.letters > 0
            box.letters -= found
        return found

    sleep_until(one)
