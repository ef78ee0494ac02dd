"""`progress()`: how far you are, in the notebook that asks."""

import ipywidgets

from kwlab.course.progress import course_outline, course_progress
from kwlab.draw.svg import Picture
from kwlab.grade.exercise import ExerciseError
from kwlab.widgets.pictured import Pictured, button, said

__all__ = ["Progress", "progress"]


class Progress(Pictured):
    """Your predictions and your exercises; without a kernel what there is to do, the same for everybody."""

    def __init__(self) -> None:
        super().__init__()
        self._drawn, self._said = ipywidgets.HTML(), ipywidgets.HTML()
        self.children = [self._drawn, button("look again", "Read anew what is done", self.look), self._said]
        self._text = ""
        self.look()

    def look(self) -> None:
        """Show what is done by now."""
        try:
            now = course_progress()
        except (ExerciseError, ValueError) as error:
            self._text = str(error)
            self._said.value = said(self._text)
            return
        self._text = repr(now)
        self._drawn.value = now.picture().svg
        self._said.value = said(now.heading)

    def __repr__(self) -> str:
        return self._text

    def picture(self) -> Picture:
        return course_outline().outline()


def progress() -> Progress:
    """How far you are in the course: predictions and exercises."""
    return Progress()
