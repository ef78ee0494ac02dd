"""The course picture: its predictions and its exercises, and what came of each so far."""

from collections.abc import Sequence
from dataclasses import dataclass

from kwlab.draw.svg import LINE, Picture, Svg, clipped

__all__ = ["Goal", "course_picture"]

PITCH = LINE + 4
MARK = 14  # pixels, the side of a prediction's box and the height of an exercise's bar
BAR = 56
GAP = 24  # between the two columns
LEFT, TOP = 14, 46
CHARACTER = 7.9  # pixels that the font takes for one
NAMES, IDS, WORDS = 34, 17, 24  # characters of a column
STYLE = ".kwlab .full{fill:var(--mark);stroke:var(--ink);stroke-width:1.2}"


@dataclass(frozen=True)
class Goal:
    """One thing to do. `words` say how it stands; `share`, of 1, is done; `sign` is written into a prediction's box."""

    name: str
    words: str
    share: float = 0
    sign: str = ""


def course_picture(heading: str, predictions: Sequence[Goal], exercises: Sequence[Goal]) -> Picture:
    """Predictions with a box each, beside them exercises with a bar each that fills with their points."""
    right = LEFT + MARK + 8 + int((NAMES + WORDS) * CHARACTER) + GAP
    width = right + BAR + 8 + int((IDS + WORDS) * CHARACTER)
    svg = Svg(width, TOP + 12 + PITCH * max(len(predictions), len(exercises), 1), STYLE)
    svg.text(LEFT, 18, heading, "strong")
    svg.text(LEFT, 38, "predictions", "soft")
    svg.text(right, 38, "exercises", "soft")
    for number, goal in enumerate(predictions):
        y = TOP + number * PITCH
        svg.box(LEFT, y, MARK, MARK, "mark" if goal.sign else "box")
        svg.text(LEFT + MARK / 2, y + 12, goal.sign, "strong", "middle")
        _words(svg, LEFT + MARK + 8, y, goal, NAMES)
    for number, goal in enumerate(exercises):
        y = TOP + number * PITCH
        svg.box(right, y, BAR, MARK)
        if goal.share:
            svg.box(right, y, BAR * goal.share, MARK, "full")
        _words(svg, right + BAR + 8, y, goal, IDS)
    lists = [
        f"{title}: " + "; ".join(f"{goal.name}: {goal.words}" for goal in goals)
        for title, goals in (("predictions", predictions), ("exercises", exercises))
        if goals
    ]
    return svg.picture(". ".join([heading, *lists]))


def _words(svg: Svg, x: float, y: float, goal: Goal, room: int) -> None:
    svg.text(x, y + 12, clipped(goal.name, room - 1))
    svg.text(x + room * CHARACTER, y + 12, clipped(goal.words, WORDS), "soft")
