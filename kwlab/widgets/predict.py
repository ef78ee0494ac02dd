"""`Predict`: first commit to an answer, then let the code say what happens, then read why."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import ipywidgets

from kwlab.draw.svg import Picture
from kwlab.widgets.answers import keep_answer
from kwlab.widgets.pictured import Pictured, button, said

__all__ = ["Predict"]


class Predict(Pictured):
    """A question about what ``reveal()`` will return, answered before it runs.

    `name` is what the answer is kept under. The answer is one of `choices`, or a `number` (which says of what), or an
    `order`: these items in any number and order. Exactly one of the three. `why` is shown with the outcome, which
    is whatever ``reveal()`` returns: a choice, an int, or a list of items.
    """

    def __init__(
        self,
        name: str,
        question: str,
        reveal: Callable[[], Any],
        *,
        why: str,
        choices: Sequence[str] = (),
        number: str = "",
        order: Sequence[str] = (),
    ) -> None:
        if bool(choices) + bool(number) + bool(order) != 1:
            raise ValueError("Predict(): give exactly one of choices=[...], number='...' and order=[...]")
        super().__init__()
        self.name, self.question, self.why = name, question, why
        self._reveal = reveal
        self._chosen: list[str] = []
        self._said = ipywidgets.HTML()
        self._commit = button("commit", "Commit to this answer, then run the code", self.commit)
        self._options = [str(one) for one in choices or order] or [f"a number: {number}"]
        self._inputs: list[Any]
        if choices:
            self._radio = ipywidgets.RadioButtons(options=list(choices), value=None)
            self._inputs = [self._radio]
        elif number:
            self._text = ipywidgets.Text(placeholder=number, continuous_update=True)
            self._inputs = [self._text]
        else:
            self._inputs = [button(item, f"{item} comes next", lambda item=item: self._append(item)) for item in order]
            self._inputs.append(button("undo", "Take the last one back", self._undo))
        self._kind = "choice" if choices else "number" if number else "order"
        row = ipywidgets.HBox(self._inputs) if order else self._inputs[0]
        heading = ipywidgets.HTML(f"<b>Predict.</b> {escape(question)}")
        self.children = [heading, row, self._commit, self._said]

    def _append(self, item: str) -> None:
        self._chosen.append(item)
        self._said.value = said(f"your answer: {' '.join(self._chosen)}")

    def _undo(self) -> None:
        del self._chosen[-1:]
        self._said.value = said(f"your answer: {' '.join(self._chosen) or '(nothing yet)'}")

    def answer(self) -> Any:
        """What is entered now; None if that is no answer yet."""
        if self._kind == "choice":
            return self._radio.value
        if self._kind == "number":
            try:
                return int(self._text.value)
            except ValueError:
                return None
        return list(self._chosen) or None

    def commit(self) -> None:
        """Take the answer, run the code, compare, keep, explain. Without an answer nothing runs."""
        answer = self.answer()
        if answer is None:
            self._said.value = said("Enter an answer first: a guess teaches more than none.")
            return
        for entered in (*self._inputs, self._commit):
            entered.disabled = True
        try:
            outcome = self._reveal()
        except Exception as error:
            for entered in (*self._inputs, self._commit):
                entered.disabled = False
            self._said.value = said(f"The code that should answer failed: {type(error).__name__}: {error}")
            return
        if isinstance(outcome, tuple):
            outcome = list(outcome)
        verdict = "as you said" if answer == outcome else f"you said {_words(answer)}"
        words = f"The code ran: {_words(outcome)} ({verdict}). {self.why}"
        try:
            keep_answer(self.name, answer, outcome)
        except (OSError, ValueError) as error:
            words += f" (This answer could not be kept: {error})"
        self._said.value = said(words)

    def picture(self) -> Picture:
        """The question and what may be answered; never the outcome."""
        options = "".join(f"<li>{escape(option)}</li>" for option in self._options)
        html = f"<div><p><b>Predict.</b> {escape(self.question)}</p><ul>{options}</ul></div>"
        return Picture(html, f"Predict: {self.question} [{' | '.join(self._options)}]")


def _words(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "(nothing)"
    return str(value)
