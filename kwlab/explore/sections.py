"""What must hold where a section of a worker's lock ends: of its lists, current_work, wake-ups and traces."""

from collections.abc import Iterator

from kwlab.explore.watched import Watched, label, works
from kwlab.runtime.model_objects import ModelTask
from kwlab.struct import freed

__all__ = ["Broken", "Section"]

Broken = tuple[str, str]  # the name of an invariant, and what happened


class Section:
    """The section of the lock of `watched` that `task` is about to end; `others` are the other workers."""

    def __init__(self, task: ModelTask, watched: Watched, others: list[Watched]) -> None:
        worker = watched.worker
        self.task = task
        self.watched = watched
        self.others = others
        self.ready, self.delayed = works(worker.work_list), works(worker.delayed_work_list)
        before = {id(work) for work in watched.ready}
        after = {id(work) for work in self.ready}
        self.linked = [work for work in self.ready if id(work) not in before]
        self.taken = [work for work in watched.ready if id(work) not in after]
        self.in_the_loop = task is watched.thread and not watched.running

    def remember(self) -> None:
        """What this section leaves is what the next one will find."""
        watched = self.watched
        if self.in_the_loop:
            watched.owed += self.taken
        watched.ready, watched.delayed, watched.current_work = self.ready, self.delayed, watched.worker.current_work

    def broken(self) -> Iterator[Broken]:
        """Whatever does not hold."""
        yield from self._links()
        yield from self._current_work()
        yield from self._wake_ups()
        yield from self._traces()
        yield from self._order()

    def _links(self) -> Iterator[Broken]:
        met: set[int] = set()
        elsewhere = [work for other in self.others if not freed(other.worker) for work in other.ready + other.delayed]
        for work in self.ready + self.delayed + elsewhere:
            if id(work) in met:
                yield "I1", f"{label(work)} is linked twice"
            met.add(id(work))
        was_delayed = {id(work) for work in self.watched.delayed}
        for work in self.linked + [work for work in self.delayed if id(work) not in was_delayed]:
            if work.canceling:
                yield "I5", f"{label(work)} is linked while it is being cancelled"

    def _current_work(self) -> Iterator[Broken]:
        worker, name, taken = self.watched.worker, self.task.name, self.taken
        current = worker.current_work
        if not self.in_the_loop:
            if current is not self.watched.current_work:
                yield "I4", f"{name} changes current_work, which is the loop's"
        elif worker.task is self.task:
            if taken and current is not taken[0]:
                yield "I4", f"{name} took {label(taken[0])}, and current_work is another"
            if not taken and not self.ready and current is not None:
                yield "I4", f"{name} found the list empty and left current_work at {label(current)}"

    def _wake_ups(self) -> Iterator[Broken]:
        worker, linked, woken = self.watched.worker, self.linked, self.watched.woken
        idle = worker.current_work is None and worker.task is not None
        if linked and idle and not woken:
            yield "I10", f"{label(linked[0])} was queued, current_work is None, and nobody was woken"
        if linked and not idle and woken:
            yield "I10", f"{label(linked[0])} was queued, current_work is set, and the thread was woken"

    def _traces(self) -> Iterator[Broken]:
        watched = self.watched
        for work in self.linked:
            if watched.queued.count(id(work)) != 1:
                yield "I9", f"the queueing of {label(work)} was traced {watched.queued.count(id(work))} times"
        listed = {id(work) for work in self.ready}
        if any(address not in listed for address in watched.queued):
            yield "I9", "a queueing was traced, and the work is not on the list"
        if self.in_the_loop and watched.traces and watched.untraced != [0, 0]:
            what = "beginning" if watched.untraced[0] else "end"
            yield "I9", f"the {what} of a run on {watched.thread.name} was not traced exactly once"

    def _order(self) -> Iterator[Broken]:
        watched, taken = self.watched, self.taken
        if self.in_the_loop and taken and watched.owed:
            yield "I2", f"{label(watched.owed[0])} was taken by {self.task.name}, and now the next one is"
        if self.in_the_loop and taken and watched.ready[0] is not taken[0]:
            yield "I8", f"{label(taken[0])} was taken, and {label(watched.ready[0])} was first"
