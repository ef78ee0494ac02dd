"""`Player`: one execution, forwards and backwards, with every picture of the moment that is looked at."""

from collections.abc import Callable
from html import escape

import ipywidgets

from kwlab.draw.lanes import lanes_picture
from kwlab.draw.moment import moment_picture
from kwlab.draw.source import source_picture
from kwlab.draw.svg import Picture
from kwlab.explore.trace import record
from kwlab.explore.trace_format import Step, Trace
from kwlab.widgets.pictured import Pictured, button, said

__all__ = ["Player", "listed", "side_by_side"]

# What counts as an event for "next event": the tracepoints that say what became of works and wake-ups.
EVENTS = ("sched_", "list_")


class Player(Pictured):
    """Play `trace`, beginning behind step `at` (0: the start).

    The list of steps, the lanes, the queue and the source show the same moment. Buttons, slider and list all move it.
    With the keyboard: the arrow keys in the slider, Tab and the space bar for the buttons (in the list JupyterLab
    takes the arrow keys for itself).
    """

    def __init__(self, trace: Trace | Callable[[], object], at: int = 0) -> None:
        """`trace`: a trace, such as ``verdict.trace()``, or a scenario, whose tasks then each go on while they can."""
        if callable(trace):
            trace = record(trace)
        if not isinstance(trace, Trace):
            raise TypeError(f"Player() plays a trace, such as verdict.trace() gives, or a scenario, not {trace!r}")
        last = len(trace.steps) - 1
        if not 0 <= at <= last:
            raise ValueError(f"Player(at={at}): this trace has the steps 0 to {last}")
        super().__init__()
        self.trace = trace
        self.at = at
        self._said, self._lanes, self._moment, self._source = (ipywidgets.HTML() for _ in range(4))
        self._slider = ipywidgets.IntSlider(
            value=at,
            max=last,
            description="step",
            layout=ipywidgets.Layout(width="auto"),
        )
        self._list = ipywidgets.Select(
            options=[(listed(trace, step), step.index) for step in trace.steps],
            value=at,
            rows=7,
            layout=ipywidgets.Layout(width="auto"),
        )
        self._buttons = ipywidgets.HBox(
            [
                self._button("start", "To before the first step", lambda: 0),
                self._button("back", "One step back", lambda: max(0, self.at - 1)),
                self._button("forward", "One step forward", lambda: min(last, self.at + 1)),
                self._button("next preemption", "To where a task is stopped that could have gone on", self._preemption),
                self._button(
                    "next event", "To where a work is queued, runs or ends, or a wake-up happens", self._event
                ),
                self._button("to the bug" if trace.bug else "to the end", "To the last step", lambda: last),
            ]
        )
        self._slider.observe(lambda change: self.show(change["new"]), "value")
        self._list.observe(lambda change: self.show(change["new"]), "value")
        below = side_by_side(self._moment, self._source)
        self.children = [self._buttons, self._slider, self._said, self._list, self._lanes, below]
        self._draw()

    def _button(self, words: str, tooltip: str, target: Callable[[], int]) -> ipywidgets.Button:
        return button(words, tooltip, lambda: self.show(target()))

    def _next(self, wanted: Callable[[Step], bool]) -> int:
        """The next step that is `wanted`; the one that is shown if there is none."""
        return next((step.index for step in self.trace.steps[self.at + 1 :] if wanted(step)), self.at)

    def _preemption(self) -> int:
        return self._next(lambda step: step.preemption)

    def _event(self) -> int:
        return self._next(lambda step: any(event.name.startswith(EVENTS) for event in step.events))

    def show(self, at: int) -> None:
        """Go to behind step `at`."""
        if at == self.at:
            return
        self.at = at
        self._slider.value = at
        self._list.value = at
        self._draw()

    def _draw(self) -> None:
        trace, at = self.trace, self.at
        words = f"step {at} of {len(trace.steps) - 1}: {trace.steps[at].sentence}"
        if trace.bug is not None and at == len(trace.steps) - 1:
            words += f". {trace.bug.kind}: {trace.bug.sentence}"
        self._said.value = said(words)
        self._lanes.value = lanes_picture(trace, at).svg
        self._moment.value = moment_picture(trace, at).svg
        self._source.value = source_picture(trace, at).svg

    def picture(self) -> Picture:
        """The lanes of the whole, and how everything stood where the player begins or was last moved to."""
        lanes, moment = lanes_picture(self.trace), moment_picture(self.trace, self.at)
        caption = escape(f"step {self.at} of {len(self.trace.steps) - 1}: {self.trace.steps[self.at].sentence}")
        html = f"<figure>{lanes.still}<figcaption>{caption}</figcaption>{moment.still}</figure>"
        return Picture(html, lanes.label)


def side_by_side(*pictures: ipywidgets.HTML) -> ipywidgets.Box:
    """`pictures` beside each other where the page is wide enough, else one below the other."""
    for picture in pictures:
        picture.layout.flex = "1 1 700px"
    return ipywidgets.Box(pictures, layout=ipywidgets.Layout(flex_flow="row wrap"))


def listed(trace: Trace, step: Step) -> str:
    """A step in one line: its number, whose it is, what it means; ▼ marks a preemption, ✗ the bug."""
    if step.task is None:
        return f"0  {step.sentence}"
    mark = "✗ " if trace.bug is not None and step is trace.steps[-1] else "▼ " if step.preemption else ""
    return f"{step.index}  {mark}{step.sentence}"
