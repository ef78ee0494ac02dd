"""`LiveQueue`: a real worker, moved by buttons, with its picture."""

import atexit
from collections.abc import Callable, Sequence
from typing import ClassVar

import ipywidgets

from kwlab.draw.queue import queue_picture
from kwlab.draw.svg import Picture
from kwlab.errors import UseAfterFree
from kwlab.face import Worker
from kwlab.widgets.pictured import Pictured, button, said
from kwlab.widgets.stage import Stage
from kwlab.worker import KthreadWorker

__all__ = ["LiveQueue"]

PENDING = "False: refused, it is pending, so a run is owed already"
CANCELING = "False: refused, it is being cancelled"
HELD = "every work now stops inside its function until you let it go"


class LiveQueue(Pictured):
    """Play with `worker`: hold it, queue works called `names`, flush and cancel them, and watch its fields.

    The widget takes the worker over: "end the thread", or a new LiveQueue on a worker of the same name, destroys it.
    """

    _open: ClassVar[
        dict[str, "LiveQueue"]
    ] = {}  # by the thread's name: a cell that runs again ends what it made before

    def __init__(self, worker: KthreadWorker | Worker, names: Sequence[str] = ("A", "B", "C")) -> None:
        self.stage = Stage(worker, names)
        super().__init__()
        if earlier := self._open.get(self.stage.name):
            earlier.end()
        self._open[self.stage.name] = self
        self._picture = ipywidgets.HTML()
        self._said = ipywidgets.HTML()
        self._counts = {name: ipywidgets.HTML() for name in names}
        stage = self.stage
        self._hold = self._button("hold", "Stop every work inside its function", stage.hold, HELD)
        self._one = self._button(
            "let one go", "The work that runs returns; the next one starts", stage.let_one_go, "the work returned"
        )
        self._release = self._button("release", "Let every work go", stage.release, "released")
        self._end = button("end the thread", "kthread_destroy_worker", self.end)
        self._rows = [self._row(name) for name in names]
        frame = [ipywidgets.HBox([self._hold, self._one, self._release, self._end]), *self._rows]
        self.children = [*frame, self._said, self._picture]
        self._look("press a button")

    def _row(self, name: str) -> ipywidgets.HBox:
        label = ipywidgets.HTML(f"<b>{name}</b>", layout=ipywidgets.Layout(width="2em"))
        queue = button("queue", f"kthread_queue_work(worker, {name})", lambda: self._queue(name))
        flush = self._button("flush", f"kthread_flush_work({name})", lambda: self.stage.flush(name), f"flush {name}")
        cancel = self._button(
            "cancel", f"kthread_cancel_work_sync({name})", lambda: self.stage.cancel(name), f"cancel {name}"
        )
        return ipywidgets.HBox([label, queue, flush, cancel, self._counts[name]])

    def _button(self, words: str, tooltip: str, action: Callable[[], None], done: str) -> ipywidgets.Button:
        return button(words, tooltip, lambda: self._act(action, done))

    def _act(self, action: Callable[[], None], done: str) -> None:
        try:
            action()
        except UseAfterFree:
            done = "this worker was destroyed: run the cell again"
        self._look(done)

    def _queue(self, name: str) -> None:
        try:
            queued = self.stage.queue(name)
        except UseAfterFree:
            self._look("this worker was destroyed: run the cell again")
        else:
            refused = CANCELING if self.stage.acts[name].work.canceling else PENDING
            answer = "True: it is linked now" if queued else refused
            self._look(f"kthread_queue_work(worker, {name}) returned {answer}")

    def _look(self, words: str) -> None:
        """Wait until all is quiet, then say what happened and draw what there is."""
        if self.stage.closed:
            self._leave(words)
            return
        answers, waiting = self.stage.settle()
        parts = [words, *answers, *(f"{call} waits" for call in waiting)]
        self._said.value = said("; ".join(parts))
        for name, act in self.stage.acts.items():
            self._counts[
                name
            ].value = f"accepted {act.accepted}, refused {act.refused}, started {self.stage.started.count(name)}"
        self._last = queue_picture(self.stage.worker)
        self._picture.value = self._last.svg
        self._hold.disabled = self.stage.holding
        self._one.disabled = self._release.disabled = not self.stage.holding

    def _leave(self, words: str) -> None:
        self._said.value = said(words)
        self._last = queue_picture(self.stage.worker)
        self._picture.value = self._last.svg
        for row in (self.children[0], *self._rows):
            for child in row.children:
                child.disabled = True
        if self._open.get(self.stage.name) is self:
            del self._open[self.stage.name]

    def end(self) -> None:
        """Destroy the worker: no thread of this widget is left."""
        self.stage.close()
        self._leave("the thread has ended; run the cell again for a new one")

    def close(self) -> None:
        """End the thread and take the widget off the page."""
        if "stage" in vars(self):  # not if the worker was refused
            self.end()
        super().close()

    def picture(self) -> Picture:
        """The queue as the latest look found it."""
        return self._last


@atexit.register
def _end_all() -> None:
    for live in list(LiveQueue._open.values()):
        live.stage.close()
