"""frontrun's share of `kwlab bench explore`, run by frontrun's own command: it must patch the locks before all else."""

import sys
import threading
import time

import frontrun

__all__ = ["Counter"]


class Counter:
    """A number that threads add to under a lock."""

    increments = 1

    def __init__(self) -> None:
        self.value = 0
        self.lock = threading.Lock()

    def add(self) -> None:
        for _ in range(self.increments):
            with self.lock:
                self.value += 1


def main(increments: int) -> None:
    """Print the seconds per interleaving of two threads."""
    Counter.increments = increments
    start = time.perf_counter()
    found = frontrun.explore(
        setup=Counter,
        workers=Counter.add,
        count=2,
        invariant=lambda counter: counter.value == 2 * increments,
        preemption_bound=None,
        total_timeout=60,
        stop_on_first=False,
    )
    print((time.perf_counter() - start) / found.num_explored)


if __name__ == "__main__":
    main(int(sys.argv[1]))
