"""A notebook of the course in JupyterLab's front, and its widgets, for the tests that operate them there.

What they are asked about the notebook in front is `window.book` in the page.
"""

import ast
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lab import Lab, promised, run_all

from tools.notebooks import ROOT

# Of the notebook in front, by the number of a cell's run: the labels of the pictures that can be seen in its outputs.
LABELS = """number => {
  const cell = window.book.content.widgets.find(
    cell => cell.model.type === 'code' && cell.model.executionCount === number);
  return [...cell.node.querySelectorAll('.jp-OutputArea svg[role=img]')]
    .filter(svg => svg.getClientRects().length && svg.getBoundingClientRect().width > 50)
    .map(svg => svg.getAttribute('aria-label'));
}"""
OUTPUTS = """() => window.book.content.widgets
  .filter(cell => cell.model.type === 'code')
  .map(cell => ({source: cell.model.sharedModel.getSource(), number: cell.model.executionCount,
                 outputs: cell.model.outputs.toJSON()}))"""
# The paths, in the learner's folder, of the files that the links of the notebook lead to.
LINKS = """() => [...window.book.node.querySelectorAll('.jp-RenderedMarkdown a[target=_blank]')]
  .map(link => new URL(link.href)).filter(url => url.origin === window.location.origin)
  .map(url => decodeURIComponent(url.pathname).replace('/files/', ''))"""
ANSWER = """({marker, source}) => window.book.content.widgets
  .find(cell => cell.model.sharedModel.getSource().startsWith(marker)).model.sharedModel.setSource(source)"""
ASK = """async ({code, expression}) => {
  const kernel = window.book.sessionContext.session.kernel;
  const future = kernel.requestExecute(
    {code, silent: true, store_history: false, user_expressions: {answer: expression}});
  const {status, evalue, user_expressions: {answer} = {}} = (await future.done).content;
  if (status !== 'ok' || answer.status !== 'ok') throw new Error(evalue ?? `${answer.ename}: ${answer.evalue}`);
  return answer.data['text/plain'];
}"""
OPEN = """async path => {
  window.book = await window.jupyterapp.commands.execute('docmanager:open', {path});
  window.jupyterapp.shell.activateById(window.book.id);
}"""
READY = """() => {
  const session = window.book.sessionContext;
  return window.jupyterapp.shell.currentWidget === window.book
    && session.isReady && session.session?.kernel?.status === 'idle';
}"""


class Book:
    """A notebook in front of the learner, all cells run."""

    def __init__(self, page: Any, lab: Lab, path: Path) -> None:
        self.page, self.lab, self.path = page, lab, path
        to_the_front(page, path.relative_to(ROOT).as_posix())
        run_all(page, 120)
        # What is in the folded boxes is to be seen too.
        promised(page, "() => window.jupyterapp.commands.execute('notebook:expand-all-headings')")
        self.cells = page.evaluate(OUTPUTS)
        self.widgets: dict[int, dict[str, Any]] = {int(n): one for n, one in self.ask("inside.made(Out)").items()}

    def ask(self, expression: str) -> Any:
        """The value of a Python `expression` in the kernel of the notebook."""
        code = f"import sys, json; sys.path.insert(0, {str(ROOT / 'tests')!r}); import inside"
        answer = promised(self.page, ASK, {"code": code, "expression": f"json.dumps({expression})"})
        return json.loads(ast.literal_eval(answer))

    def cell(self, number: int) -> Any:
        """The cell whose run had this `number`."""
        place = [cell["number"] for cell in self.cells].index(number)
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell").nth(place)

    def of_kind(self, kind: str) -> Iterator["Widget"]:
        for number, one in self.widgets.items():
            if one["kind"] == kind:
                yield Widget(self, number)


def to_the_front(page: Any, path: str) -> None:
    """Open the notebook at `path` in the learner's folder; returns when its kernel is ready."""
    promised(page, OPEN, path)
    page.wait_for_function(READY)


def in_front(page: Any) -> None:
    """What the learner opened is what we look at from now on; returns when its kernel is ready."""
    page.evaluate("() => { window.book = window.jupyterapp.shell.currentWidget; }")
    page.wait_for_function(READY)


def leave(page: Any) -> None:
    """As a learner goes on: the notebook saved, its kernel shut down, its tab closed."""
    promised(page, "() => window.book.context.save()")
    promised(page, "() => window.book.sessionContext.shutdown()")
    page.evaluate("window.book.close()")
    page.wait_for_function("window.book.isDisposed")


class Widget:
    """The widget that the cell made whose run had this `number`."""

    def __init__(self, book: Book, number: int) -> None:
        self.book, self.page, self.number = book, book.page, number
        self.output = book.cell(number).locator(".jp-Cell-outputWrapper")
        self.output.scroll_into_view_if_needed()

    def ask(self, function: str, *more: object) -> Any:
        return self.book.ask(f"inside.{function}({', '.join([f'Out[{self.number}]', *map(repr, more)])})")

    def button(self, words: str, nth: int = 0) -> Any:
        return self.output.get_by_role("button", name=words, exact=True).nth(nth)

    def press(self, words: str, nth: int = 0, *, keyboard: bool = False) -> None:
        if keyboard:
            self.button(words, nth).focus()
            self.page.keyboard.press("Enter")
        else:
            self.button(words, nth).click()

    def says(self, words: str, seconds: float = 30) -> str:
        """Until the line for screen readers has these words; all that it says then."""
        status = self.output.locator("[role=status]", has_text=words).first
        status.wait_for(timeout=seconds * 1000)
        return status.inner_text()

    def shows(self, labels: Sequence[str]) -> None:
        """Until the pictures to be seen are exactly those with these labels."""
        from playwright.sync_api import TimeoutError as Late

        try:
            self.page.wait_for_function(
                f"([number, labels]) => JSON.stringify(({LABELS})(number)) === JSON.stringify(labels)",
                arg=[self.number, list(labels)],
                timeout=30_000,
            )
        except Late:
            assert self.page.evaluate(LABELS, self.number) == list(labels)
            raise


def photograph(book: Book, folder: Path) -> None:
    """Every output with a picture or a widget in it, light and dark."""
    folder.mkdir(parents=True, exist_ok=True)
    book.page.set_viewport_size({"width": 1400, "height": 2400})
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        promised(book.page, f"() => window.jupyterapp.commands.execute('apputils:change-theme', {{theme: '{theme}'}})")
        book.page.wait_for_function(
            "light => document.body.dataset.jpThemeLight === light", arg=str("Light" in theme).lower()
        )
        for cell in book.cells:
            if any("text/html" in output.get("data", {}) for output in cell["outputs"]):
                name = f"{book.path.stem[:2]}-{cell['number']:02}-{theme.split()[1].lower()}.png"
                book.cell(cell["number"]).screenshot(path=folder / name)
    book.page.set_viewport_size({"width": 1400, "height": 1000})
