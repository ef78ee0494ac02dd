"""What tests ask inside the kernel of a notebook: which widgets its cells made, and what they ought to show.

The pictures that are expected come from the data of a widget and `kwlab.draw`, never from what the widget shows.
"""

import re
from collections.abc import Iterable, Mapping
from html import unescape
from typing import Any

import ipywidgets
from clicking import everything

from kwlab import BeTheScheduler, LiveQueue, Player, Predict
from kwlab.draw.lanes import lanes_picture
from kwlab.draw.layout import struct_picture
from kwlab.draw.moment import moment_picture
from kwlab.draw.queue import queue_picture
from kwlab.draw.source import source_picture
from kwlab.draw.waits import waits_picture
from kwlab.explore.trace_format import Trace
from kwlab.host.structs import kernel_struct
from kwlab.widgets.pictured import Pictured

LABEL = re.compile(r'<svg[^>]* role="img" aria-label="([^"]*)"')


def made(out: Mapping[int, object]) -> dict[int, dict[str, Any]]:
    """By the number of its cell's run: the kind of each widget, and the labels of the pictures in it."""
    return {
        number: {"kind": type(widget).__name__, "labels": _labels(widget)}
        for number, widget in out.items()
        if isinstance(widget, Pictured)
    }


def _labels(widget: Pictured) -> list[str]:
    values = (one.value for one in everything(widget) if isinstance(one, ipywidgets.HTML))
    return [unescape(label) for value in values for label in LABEL.findall(value)]


def _three(trace: Trace, at: int | None = None) -> list[str]:
    at = len(trace.steps) - 1 if at is None else at
    return [draw(trace, at).label for draw in (lanes_picture, moment_picture, source_picture)]


def steps(player: Player) -> list[dict[str, bool]]:
    """Of each step of the player's trace: whether it is a preemption, and whether a work or a wake-up is in it."""
    return [
        {
            "preemption": step.preemption,
            "event": any(event.name.startswith(("sched_", "list_")) for event in step.events),
        }
        for step in player.trace.steps
    ]


def at_steps(player: Player, places: Iterable[int]) -> dict[int, list[str]]:
    """The labels that the player must show at each of `places`."""
    return {at: _three(player.trace, at) for at in places}


def shortest(play: BeTheScheduler) -> dict[str, Any]:
    """The tasks to be clicked to win, the kind of bug, and the labels at the start and after each click."""
    answer = play.answer()
    game = play.game.fresh()
    labels, names = [_three(game.trace())], []
    for task in answer.clicks or ():
        names.append(game.trace().name_of(task))
        game.choose(task)
        labels.append(_three(game.trace()))
    return {"names": names, "bug": game.position.bug, "labels": labels}


def question(predict: Predict) -> dict[str, Any]:
    """What is asked, and how it is answered; from now on `revealed` knows what the code said."""
    reveal, results = predict._reveal, []
    _revealed[predict.name] = results

    def noted() -> Any:
        results.append(reveal())
        return results[-1]

    predict._reveal = noted
    return {"name": predict.name, "kind": predict._kind, "options": predict._options, "why": predict.why}


_revealed: dict[str, list[Any]] = {}


def revealed(predict: Predict) -> list[Any]:
    """What each run of the code returned that answers the question."""
    return _revealed[predict.name]


def queue(live: LiveQueue) -> list[str]:
    """The label of the queue as it is at this moment."""
    return [queue_picture(live.stage.worker).label]


def struct(name: str, kernel: str) -> list[str]:
    return [struct_picture(kernel_struct(name, kernel)).label]


def levels(slider: Any) -> list[dict[str, Any]]:
    """The levels of noise, and what is to be shown and said at each."""
    return [
        {
            "labels": [waits_picture({name: spread["percent"] for name, spread in one.details["waits"].items()}).label],
            "sentence": one.sentence(),
        }
        for _, one in sorted(slider._levels.items())
    ]


def progress_labels() -> list[str]:
    from kwlab.course.progress import course_progress

    return [course_progress().picture().label]
