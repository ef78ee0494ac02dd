"""The course as a learner walks through it: every notebook in JupyterLab, all its cells, all its widgets.

One server and one page; the copies are those that `make lab` hands out. What a widget ought to show is asked of the
kernel of its notebook (`inside.py`): the label of a picture says all that the picture shows.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from books import ANSWER, LABELS, LINKS, OUTPUTS, Book, Widget, in_front, leave, photograph, to_the_front
from lab import Lab, browsing, promised, run_all

from kwlab.grade.answer import marker
from kwlab.grade.copies import update
from kwlab.grade.exercise import find
from kwlab.grade.progress import FILE
from kwlab.grade.reference import reference_answer
from kwlab.host.structs import STRUCTS
from kwlab.widgets.answers import kept_answers
from tools.notebooks import ROOT, course_notebooks, exercise_notebooks, read

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

BOOKS = course_notebooks(ROOT)
SHOTS = os.environ.get("KWLAB_SCREENSHOTS")  # a folder: what the tests see is kept there, to be looked at


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
    assert errors == []


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


def holding(*kinds: str) -> pytest.MarkDecorator:
    """For each notebook whose cells make a widget of one of these `kinds`; without any, for each notebook."""
    made = re.compile(rf"\b(?:{'|'.join(kinds)})\(")
    books = [path for path in BOOKS if not kinds or any(made.search(cell.source) for cell in read(path).cells)]
    assert books, kinds
    return pytest.mark.parametrize("book", books, ids=lambda path: path.stem[:2], indirect=True)


# These two come first: later a notebook is open all the time.


def test_a_link_opens_the_next_notebook_beside_this_one(page: Any, lab: Lab) -> None:
    first, second = (path.relative_to(ROOT).as_posix() for path in BOOKS[:2])
    to_the_front(page, first)
    link = page.locator(f".jp-NotebookPanel:not(.lm-mod-hidden) .jp-RenderedMarkdown a[href*='/files/{second}']").last
    link.click()
    page.wait_for_function("path => window.jupyterapp.shell.currentWidget?.context?.path === path", arg=second)
    leave(page)
    in_front(page)
    leave(page)
    assert json.loads(lab.get("/api/kernels")) == []


def test_an_exercise_is_passed_without_leaving_jupyterlab(page: Any, lab: Lab) -> None:
    """Found in the file browser, tried as handed out, answered, checked, and kept as progress."""
    exercise = find("worker_loop")
    maximum = sum(part.points for part in exercise.parts)
    for name in ("exercises", exercise.id, f"{exercise.id}.ipynb"):
        page.locator(".jp-DirListing-itemText").get_by_text(name, exact=True).dblclick()
    page.wait_for_function("name => window.jupyterapp.shell.currentWidget?.title.label === name", arg=name)
    in_front(page)
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
        still = here.output.locator("div[class^=kwlab-]").first  # what stands in without a kernel
        assert not still.is_visible()
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
