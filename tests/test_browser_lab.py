"""The course as a learner walks through it: every notebook in JupyterLab, all its cells, all its widgets.

One server and one page; the copies are those that `make lab` hands out. What a widget ought to show is asked of the
kernel of its notebook (`inside.py`): the label of a picture says all that the picture shows.
"""

import ast
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from lab import Lab, browsing, promised, run_all

from kwlab.grade.answer import marker
from kwlab.grade.copies import update
from kwlab.grade.exercise import find
from kwlab.grade.progress import FILE
from kwlab.grade.reference import reference_answer
from kwlab.host.structs import STRUCTS
from kwlab.widgets.answers import kept_answers
from tools.notebooks import course_notebooks, exercise_notebooks, read

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

BOOKS = course_notebooks(ROOT)
SHOTS = os.environ.get("KWLAB_SCREENSHOTS")  # a folder: what the tests see is kept there, to be looked at

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
        promised(page, OPEN, path.relative_to(ROOT).as_posix())
        page.wait_for_function(READY)
        run_all(page, 120)
        promised(
            page, "() => window.jupyterapp.commands.execute('notebook:expand-all-headings')"
        )  # the folded boxes too
        self.cells = page.evaluate(OUTPUTS)
        self.widgets: dict[int, dict[str, Any]] = {int(n): one for n, one in self.ask("inside.made(Out)").items()}

    def ask(self, expression: str) -> Any:
        """The value of a Python `expression` in the kernel of the notebook."""
        code = f"import sys, json; sys.path.insert(0, {str(ROOT / 'tests')!r}); import inside"
        answer = promised(self.page, ASK, {"code": code, "expression": f"json.dumps({expression})"})
        return json.loads(ast.literal_eval(answer))

    def of_kind(self, kind: str) -> Iterator["Widget"]:
        for number, one in self.widgets.items():
            if one["kind"] == kind:
                yield Widget(self, number)


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
        place = [cell["number"] for cell in book.cells].index(number)
        self.output = (
            self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell")
            .nth(place)
            .locator(".jp-Cell-outputWrapper")
        )
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


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Iterator[Lab]:
    def fill(work: Path) -> None:
        update(BOOKS + exercise_notebooks(ROOT), ROOT, work)

    lab = Lab(tmp_path_factory.mktemp("lab"), project / "jupyter", fill)
    yield lab
    left = lab.get("/api/kernels"), lab.get("/api/sessions")
    lab.stop()
    assert left == ("[]", "[]")


@pytest.fixture(scope="module")
def errors() -> list[str]:
    return []


@pytest.fixture(scope="module")
def page(lab: Lab, chromium: str, errors: list[str]) -> Iterator[Any]:
    with browsing(chromium, errors) as page:
        page.goto(f"{lab.base}/lab/workspaces/tests?reset&token={lab.token}")
        page.wait_for_function("window.jupyterapp?.commands.hasCommand('notebook:run-all-cells')")
        promised(page, "() => window.jupyterapp.restored")  # before it is, no notebook comes to the front
        yield page


@pytest.fixture(scope="module")
def book(request: pytest.FixtureRequest, page: Any, lab: Lab) -> Iterator[Book]:
    book = Book(page, lab, request.param)
    yield book
    if SHOTS:
        photograph(book, Path(SHOTS))
    leave(page)
    assert json.loads(lab.get("/api/kernels")) == []


@pytest.fixture(autouse=True)
def nothing_goes_wrong_in_the_page(errors: list[str]) -> Iterator[None]:
    yield
    found = errors[:]
    errors.clear()
    assert found == []


def photograph(book: Book, folder: Path) -> None:
    """Every output with a picture or a widget in it, light and dark."""
    folder.mkdir(parents=True, exist_ok=True)
    book.page.set_viewport_size({"width": 1400, "height": 2400})
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        promised(book.page, f"() => window.jupyterapp.commands.execute('apputils:change-theme', {{theme: '{theme}'}})")
        book.page.wait_for_function(
            "light => document.body.dataset.jpThemeLight === light", arg=str("Light" in theme).lower()
        )
        for place, cell in enumerate(book.cells):
            if any("text/html" in output.get("data", {}) for output in cell["outputs"]):
                output = book.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell").nth(place)
                output.screenshot(
                    path=folder / f"{book.path.stem[:2]}-{cell['number']:02}-{theme.split()[1].lower()}.png"
                )
    book.page.set_viewport_size({"width": 1400, "height": 1000})


def holding(*kinds: str) -> pytest.MarkDecorator:
    """For each notebook whose cells make a widget of one of these `kinds`; without any, for each notebook."""
    made = re.compile(rf"\b(?:{'|'.join(kinds)})\(")
    books = [path for path in BOOKS if not kinds or any(made.search(cell.source) for cell in read(path).cells)]
    assert books, kinds
    return pytest.mark.parametrize("book", books, ids=lambda path: path.stem[:2], indirect=True)


@holding()
def test_every_cell_runs_and_everything_is_rendered(book: Book) -> None:
    """No cell waits for a prediction, none fails, and what it shows can be seen."""
    run = [cell for cell in book.cells if cell["source"].strip()]
    assert [cell["number"] for cell in run] == list(range(1, len(run) + 1))
    failed = [
        (cell["number"], one["ename"]) for cell in run for one in cell["outputs"] if one["output_type"] == "error"
    ]
    assert failed == []
    pictures = 0
    for number, widget in book.widgets.items():
        here = Widget(book, number)
        here.shows(widget["labels"])
        assert here.output.locator(".jp-OutputArea .widget-vbox").first.is_visible()
        assert not here.output.locator(
            "div[class^=kwlab-]"
        ).first.is_visible()  # the still that stands in without a kernel
        pictures += len(widget["labels"])
    for cell in run:
        html = "".join("".join(one.get("data", {}).get("text/html", "")) for one in cell["outputs"])
        if cell["number"] not in book.widgets and (labels := html.count('role="img"')):
            Widget(book, cell["number"])
            assert len(book.page.evaluate(LABELS, cell["number"])) == labels
            pictures += labels
    assert pictures


@holding()
def test_every_link_leads_to_what_the_learner_has(book: Book) -> None:
    """In the learner's folder, where JupyterLab looks for it, and not only in the course's."""
    targets = book.page.evaluate(LINKS)
    assert targets
    for target in set(targets):
        assert json.loads(book.lab.get(f"/api/contents/{target}", "content=0"))["type"] == "notebook"


def test_a_link_opens_the_next_notebook_beside_this_one(page: Any, lab: Lab) -> None:
    first, second = (path.relative_to(ROOT).as_posix() for path in BOOKS[:2])
    promised(page, OPEN, first)
    page.wait_for_function(READY)
    link = page.locator(f".jp-RenderedMarkdown a[href*='/files/{second}']").last
    link.click()
    page.wait_for_function("path => window.jupyterapp.shell.currentWidget?.context?.path === path", arg=second)
    leave(page)
    page.evaluate("() => { window.book = window.jupyterapp.shell.currentWidget; }")
    page.wait_for_function(READY)
    leave(page)
    assert json.loads(lab.get("/api/kernels")) == []


def test_an_exercise_is_passed_without_leaving_jupyterlab(page: Any, lab: Lab) -> None:
    """Found in the file browser, tried as handed out, answered, checked, and kept as progress."""
    exercise = find("worker_loop")
    maximum = sum(part.points for part in exercise.parts)
    for name in ("exercises", exercise.id, f"{exercise.id}.ipynb"):
        page.locator(".jp-DirListing-itemText").get_by_text(name, exact=True).dblclick()
    page.wait_for_function("name => window.jupyterapp.shell.currentWidget?.title.label === name", arg=name)
    page.evaluate("() => { window.book = window.jupyterapp.shell.currentWidget; }")
    page.wait_for_function(READY)
    assert all(f"{exercise.id}: 0 of {maximum} points" in text for text in checked(page))
    for part, source in reference_answer(exercise).parts.items():
        page.evaluate(ANSWER, {"marker": marker(exercise.id, part), "source": source})
    assert f"{exercise.id}: {maximum} of {maximum} points" in checked(page)[-1]
    assert json.loads((lab.work / FILE).read_text())["exercises"][exercise.id]["solved"]
    leave(page)
    assert json.loads(lab.get("/api/kernels")) == []


def checked(page: Any) -> list[str]:
    """Run the notebook in front; what each check() in it says."""
    run_all(page, 120)
    cells = page.evaluate(OUTPUTS)
    assert [one for cell in cells for one in cell["outputs"] if one["output_type"] == "error"] == []
    return [cell["outputs"][0]["data"]["text/plain"] for cell in cells if cell["source"].startswith("check(")]


@holding("Predict")
def test_predictions_are_open_until_the_learner_commits(book: Book) -> None:
    folder = book.lab.work / "notebooks"
    for turn, widget in enumerate(book.of_kind("Predict")):
        asked = widget.ask("question")
        assert asked["name"] not in kept_answers(folder)
        assert "The code ran" not in widget.output.inner_text()
        keyboard = BOOKS.index(book.path) % 2 == turn % 2
        widget.press("commit", keyboard=keyboard)
        widget.says("Enter an answer first")
        assert widget.ask("revealed") == []
        answer: Any
        if asked["kind"] == "choice":
            answer = asked["options"][0]
            choice = widget.output.locator("input[type=radio]").first
            if keyboard:
                choice.focus()
                book.page.keyboard.press("Space")
            else:
                choice.click()
        elif asked["kind"] == "number":
            answer = 12
            field = widget.output.locator("input[type=text]")
            field.click()
            book.page.keyboard.type(str(answer))
            book.page.keyboard.press("Tab")
        else:
            answer = [*asked["options"], asked["options"][0]]
            for item in answer:
                widget.press(item, keyboard=keyboard)
            widget.says(f"your answer: {' '.join(answer)}")
        widget.press("commit", keyboard=keyboard)
        said = widget.says("The code ran: ", seconds=120)
        (kept,) = kept_answers(folder)[asked["name"]]
        assert kept["answer"] == answer
        assert [kept["outcome"]] == widget.ask("revealed")
        outcome = kept["outcome"] if isinstance(kept["outcome"], list) else [kept["outcome"]]
        given = answer if isinstance(answer, list) else [answer]
        compared = "as you said" if given == outcome else f"you said {' '.join(map(str, given))}"
        assert said == f"The code ran: {' '.join(map(str, outcome))} ({compared}). {asked['why']}"
        assert widget.button("commit").is_disabled()


@holding("Player")
def test_the_player_follows_mouse_and_keyboard(book: Book) -> None:
    for widget in book.of_kind("Player"):
        steps = widget.ask("steps")
        last = len(steps) - 1
        preempted = next((at for at in range(1, last + 1) if steps[at]["preemption"]), 0)
        event = next((at for at in range(preempted + 1, last + 1) if steps[at]["event"]), preempted)
        labels = {
            int(at): one
            for at, one in widget.ask("at_steps", sorted({0, 1, 2, preempted, event, last - 1, last})).items()
        }
        assert len({tuple(one) for one in labels.values()}) > 2  # that the pictures change is what is tested
        end = widget.output.get_by_role("button", name=re.compile("^to the (bug|end)$"))
        for keyboard in (False, True):
            walk = [
                ("start", 0),
                ("next preemption", preempted),
                ("next event", event),
                ("start", 0),
                ("forward", 1),
                ("forward", 2),
                ("back", 1),
            ]
            for words, at in walk:
                widget.press(words, keyboard=keyboard)
                widget.shows(labels[at])
                widget.says(f"step {at} of {last}: ")
            end.focus() if keyboard else end.click()
            if keyboard:
                book.page.keyboard.press("Space")
            widget.shows(labels[last])
            widget.says(f"step {last} of {last}: ")
        widget.output.locator(".noUi-handle").focus()
        for key, at in (("Home", 0), ("ArrowRight", 1), ("End", last), ("ArrowLeft", last - 1)):
            book.page.keyboard.press(key)
            widget.shows(labels[at])
        widget.output.locator("select").select_option(index=1)
        widget.shows(labels[1])


@holding("BeTheScheduler")
def test_the_scheduler_is_won_by_mouse_and_by_keyboard(book: Book) -> None:
    for widget in book.of_kind("BeTheScheduler"):
        way = widget.ask("shortest")
        names, labels = way["names"], way["labels"]
        assert 0 < len(names) <= 12
        for keyboard in (False, True):
            widget.press("start again", keyboard=keyboard)
            widget.says("From the beginning. Who goes on?")
            widget.shows(labels[0])
            for click, name in enumerate(names, 1):
                widget.press(f"▶ {name}", keyboard=keyboard)
                widget.shows(labels[click])
            said = widget.says("You made it go wrong in")
            assert f"in {len(names)} click{'s' * (len(names) > 1)}; no shorter answer is known." in said
            assert way["bug"].lower() in said.lower()
        widget.press("undo")
        widget.says("The last choice is taken back.")
        widget.shows(labels[-2])
        widget.press("show me", keyboard=True)
        assert f"{len(names)} clicks, {', '.join(names)}" in widget.says("The shortest answer: ")
        widget.shows(labels[-1])


@holding("LiveQueue")
def test_the_live_queue_follows_its_worker(book: Book) -> None:
    for widget in book.of_kind("LiveQueue"):

        def is_now(*linked: str, running: str, widget: Widget = widget) -> None:
            (label,) = now = widget.ask("queue")
            assert f"; work_list: {', '.join(linked) or 'empty'}; " in label
            assert label.endswith(f"; current_work: {running}")
            widget.shows(now)

        is_now(running="NULL")
        widget.press("hold")
        widget.says("until you let it go")
        is_now(running="hold")
        for nth, name in enumerate("AB"):
            widget.press("queue", nth, keyboard=name == "B")
            widget.says(f"kthread_queue_work(worker, {name}) returned True")
        is_now("A", "B", running="hold")
        widget.press("queue", 0, keyboard=True)
        widget.says("returned False: refused")
        is_now("A", "B", running="hold")
        widget.output.get_by_text("accepted 1, refused 1, started 0").wait_for()
        widget.press("flush", 0)
        widget.says("flush_work(A) waits")
        is_now("A", "flush", "B", running="hold")
        widget.press("let one go", keyboard=True)
        widget.says("the work returned")
        is_now("flush", "B", running="A")
        widget.press("queue", 0)  # it runs and is not pending
        widget.says("kthread_queue_work(worker, A) returned True")
        is_now("flush", "B", "A", running="A")
        widget.press("cancel", 1, keyboard=True)
        widget.says("cancel_work_sync(B) returned True")
        is_now("flush", "A", running="A")
        widget.press("release")
        widget.says("flush_work(A) returned")
        is_now(running="NULL")
        widget.output.get_by_text("accepted 2, refused 1, started 2").wait_for()
        widget.press("end the thread", keyboard=True)
        widget.says("the thread has ended")
        assert widget.button("hold").is_disabled()


@holding("StructExplorer")
def test_the_struct_explorer_follows_its_menus(book: Book) -> None:
    for widget in book.of_kind("StructExplorer"):
        structs, kernels = (widget.output.locator("select").nth(place) for place in (0, 1))
        seen = set()
        for place, name in enumerate(STRUCTS):
            structs.select_option(index=place)
            widget.shows(expected := book.ask(f"inside.struct({name!r}, 'this')"))
            seen.add(*expected)
        structs.select_option(index=STRUCTS.index("kthread_worker"))
        for kernel in ("4.9", "6.1"):
            kernels.select_option(label=f"Linux\N{NO-BREAK SPACE}{kernel}")
            widget.shows(expected := book.ask(f"inside.struct('kthread_worker', {kernel!r})"))
            seen.add(*expected)
        assert len(seen) == len(STRUCTS) + 2


@holding("NoiseSlider")
def test_the_noise_slider_follows_the_arrow_keys(book: Book) -> None:
    for widget in book.of_kind("NoiseSlider"):
        levels = widget.ask("levels")
        assert len({tuple(one["labels"]) for one in levels}) == len(levels) > 2
        widget.output.locator(".noUi-handle").focus()
        for level in reversed(levels[:-1]):
            book.page.keyboard.press("ArrowLeft")
            widget.shows(level["labels"])
            widget.says(level["sentence"])


@holding("progress")
def test_progress_looks_again(book: Book) -> None:
    for widget in book.of_kind("Progress"):
        widget.press("look again", keyboard=True)
        made = len(kept_answers(book.lab.work / "notebooks"))
        widget.says(f"{made} of ")
        widget.shows(book.ask("inside.progress_labels()"))
