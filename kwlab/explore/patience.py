"""Fairness where time goes by: a task that could run does not wait for ever.

Whoever polls with `msleep` goes on for as long as the task that it waits for is not chosen, and every round is a new
state, because it is a later time. Such executions never end and mean nothing: no scheduler keeps a task waiting while
the clock goes on and on. So an execution is given up when time has leapt `LEAPS` times past a task that could run.
Counting begins only after as many leaps, and steps do not count at all: whatever is over before is not touched.
"""

from kwlab.runtime.model import ModelRuntime
from kwlab.runtime.model_objects import ModelTask

__all__ = ["LEAPS", "Patience"]

LEAPS = 8


class Patience:
    """Watches one execution after the other. `waits` is what it knows of the present one; two executions that are in
    the same state and have the same `waits` have the same future."""

    def __init__(self) -> None:
        self.waits: tuple[tuple[int, int], ...] = ()
        self._since: dict[int, int] = {}
        self._leaps = self._now = self._step = 0

    def begin(self, runtime: ModelRuntime) -> None:
        self._runtime = runtime
        self._since = {}
        self._leaps = self._now = self._step = 0
        self.waits = ()

    def lost(self, enabled: list[ModelTask], me: ModelTask) -> bool:
        """To be asked at every choice: True if somebody has waited too long."""
        now = self._runtime.clock.now
        if now != self._now:
            self._now = now
            self._leaps += 1
        if self._leaps <= LEAPS:
            return False
        step = len(self._runtime.schedule)
        if step != self._step + 1:
            self._since = {}  # there was no choice in between, so nobody else could go on
        self._step = step
        self._since = {
            task.id: self._since.get(task.id, self._leaps) for task in enabled if task is not me and not task.is_device
        }
        self.waits = tuple((number, self._leaps - since) for number, since in self._since.items())
        return any(waited > LEAPS for _, waited in self.waits)
