"""Which steps of an execution happen before which: as bit sets, one per step.

A step happens before another if it comes earlier and both are of one task, or collide (see `dependency`), or the one
makes the other possible (an unlock and the next lock, a spawn and what the new task does), or by any chain of these.
Bit *i* of a set stands for step *i*: the union of two pasts is one operation on whole numbers, where clock vectors
would be compared entry by entry.

The steps are a stack: what a new execution shares with the one before is kept.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable

from kwlab.explore.dependency import ADD, READ, WRITE, Accesses, exchangeable
from kwlab.runtime.model_ops import DEVICE, LOCK, SCHEDULE

__all__ = ["HappensBefore"]

# Of one key, behind each step that touched it: the last write, and the reads and the additions since, as sets; then
# that step and its mode.
_History = tuple[int, int, int, int, int]
_NONE: list[_History] = [(0, 0, 0, -1, READ)]

# Of one step: its task, operation and detail, who could have done one there (a set), and what it touched.
_Step = tuple[int, int, float, int, Accesses]

# Called with a step and the past of a later one that collides with it and could have come first.
Race = Callable[[int, int], object]


class HappensBefore:
    """The steps so far, and the past of each: a set that includes the step itself."""

    def __init__(self) -> None:
        self.past: list[int] = []
        self.steps_of: dict[int, list[int]] = {}  # by task
        self._steps: list[_Step] = []
        self._history: defaultdict[int, list[_History]] = defaultdict(_NONE.copy)
        self._barriers = 0  # the steps that collide with everything
        self._settled = 0  # those of them that waited for all others to sleep
        # By step: the tasks that were TASK_RUNNING before it. Noted only where more than the operations that say so can
        # change a state: under total store order.
        self.running: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.past)

    def cut(self, length: int) -> None:
        """Forget all but the first `length` steps."""
        while len(self.past) > length:
            self.past.pop()
            task, _, _, _, accesses = self._steps.pop()
            self.steps_of[task].pop()
            if accesses is None:
                self._barriers ^= 1 << len(self.past)
                self._settled &= self._barriers
            else:
                for key, _ in accesses:
                    self._history[key].pop()

    def before(self, task: int, born: int) -> int:
        """The past of what `task` does next: what it did, or for a new one the step it was born in."""
        steps = self.steps_of.setdefault(task, [])
        if steps:
            return self.past[steps[-1]]
        return self.past[born] if born < len(self.past) else 0

    def races(self, task: int, past: int, accesses: Accesses, op: int, detail: float, race: Race) -> int:
        """The past of a next step of `task`, `past` included; `race` hears of each step that it races with.

        A race: two steps that collide, no third is between them in the order, and the later could have come first.
        """
        if accesses is None:
            candidates = (1 << len(self.past)) - 1
            if detail:
                return self._races_with_devices(past, candidates & ~past, race)
        else:
            if LOCK < op <= DEVICE:
                past = self._races_of_a_wait(task, past, accesses[0], op, detail, race)
                accesses = accesses[1:]
            candidates = self._barriers
            if op == LOCK:
                # While all sleep a lock is waited for by none but those in a deadlock. What they could have done before
                # is not hidden by others that went on.
                candidates &= ~self._settled
            for key, mode in accesses:
                write, reads, adds, _, _ = self._history.get(key, _NONE)[-1]
                candidates |= write
                if mode != READ:
                    candidates |= reads
                if mode != ADD:
                    candidates |= adds
        candidates &= ~past
        while candidates:
            # The latest first: what happens before it is no candidate any more.
            step = candidates.bit_length() - 1
            past |= self.past[step]
            candidates &= ~past
            race(step, past)
        return past

    def _races_with_devices(self, past: int, candidates: int, race: Race) -> int:
        # What waits for all others to sleep could not have come before a step of theirs (see `comes_last`): such steps
        # count for the order, but are looked through, too.
        enabling = 0
        while candidates:
            step = candidates.bit_length() - 1
            candidates ^= 1 << step
            if self._steps[step][1] == DEVICE and not past >> step & 1:
                past |= self.past[step]
                race(step, past)
            else:
                enabling |= self.past[step]
        return past | enabling

    def _races_of_a_wait(
        self, task: int, past: int, access: tuple[int, int], op: int, detail: float, race: Race
    ) -> int:
        # What made the step possible hides what made it impossible before: A takes what B waits for, and gives it
        # back. So such steps count for the order, but are looked through here.
        key, mode = access
        enabling = 0
        for _, _, _, step, mode2 in reversed(self._history.get(key, _NONE)):
            if step < 0 or past >> step & 1:
                if mode2 == WRITE:
                    break
            elif mode != mode2 or mode == WRITE:
                if op == DEVICE:
                    possible = self._could(task, step)
                elif op == SCHEDULE and self.running:
                    possible = bool(self.running[step] >> task & 1)
                else:
                    _, before, before_detail, _, _ = self._steps[step]
                    possible = exchangeable(before, before_detail, op, detail)
                if possible:
                    past |= self.past[step]
                    race(step, past)
                else:
                    enabling |= self.past[step]
        return past | enabling

    def _could(self, task: int, step: int) -> bool:
        """True if `task` could have done a step where `step` was done."""
        return bool(self._steps[step][3] >> task & 1)

    def push(self, task: int, past: int, accesses: Accesses, op: int, detail: float, enabled: int) -> None:
        """The next step, with its `past` as `races` found it; `enabled`: the set of tasks that could have done one."""
        step = len(self.past)
        self.past.append(past | 1 << step)
        self._steps.append((task, op, detail, enabled, accesses))
        self.steps_of[task].append(step)
        if accesses is None and op == DEVICE and detail:
            self._settled |= 1 << step
        self._note(step, accesses)

    def amend(self, accesses: tuple[tuple[int, int], ...], race: Race) -> None:
        """The last step turned out to have touched this too."""
        step = len(self.past) - 1
        task, op, detail, enabled, before = self._steps[step]
        self.past[step] = self.races(task, self.past[step], accesses, LOCK, 0, race)
        if before is not None:
            self._steps[step] = task, op, detail, enabled, before + accesses
            self._note(step, accesses)

    def _note(self, step: int, accesses: Accesses) -> None:
        bit = 1 << step
        if accesses is None:
            self._barriers |= bit
            return
        for key, mode in accesses:
            history = self._history[key]
            write, reads, adds, _, _ = history[-1]
            if mode == READ:
                history.append((write, reads | bit, adds, step, mode))
            elif mode == ADD:
                history.append((write, reads, adds | bit, step, mode))
            else:
                history.append((bit, 0, 0, step, mode))

    def first(self, task: int, step: int) -> int | None:
        """The first step of `task` behind `step`, if there is one."""
        steps = self.steps_of[task]
        if not steps or steps[-1] <= step:
            return None
        return steps[bisect_right(steps, step)]
