"""The widgets as a learner meets them: JupyterLab in Chromium, mouse and keyboard, a living and a dead kernel."""

import os
import re
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import READY_TO_RUN, Lab, one_notebook, opened, run_all

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

TESTS = Path(__file__).parent
CELLS = {
    "player": f"""
        import sys
        sys.path.insert(0, {str(TESTS)!r})
        import loops, traces
        from kwlab import BeTheScheduler, LiveQueue, Player, Predict, kthread_run_worker
        trace = traces.long_trace(2_000, works=200)
        Player(trace)""",
    "opened": "Player(trace)",
    "gap": "Player(traces.lost_wakeup())",
    "scheduler": "BeTheScheduler(loops.lost_wakeup, 'Let the worker sleep with a work on its list.')",
    "order": "Predict('order', 'Queue A, B, A. What runs?', lambda: ['A', 'B'], order='AB', why='A was pending.')",
    "choice": "Predict('choice', 'Which?', lambda: 'none', choices=['node', 'none'], why='It is in the worker.')",
    "number": "Predict('number', 'How many?', lambda: 2, number='runs', why='One was owed.')",
    "live": "LiveQueue(kthread_run_worker(0, 'demo'))",
}
SHOTS = os.environ.get("KWLAB_SCREENSHOTS")  # a folder: what the tests see is kept there, to be looked at


class Widgets:
    """The page, and where each widget is on it."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def output(self, name: str) -> Any:
        """The output area of the cell called `name`, brought into sight."""
        cell = self.page.locator(".jp-Cell").nth(list(CELLS).index(name))
        cell.scroll_into_view_if_needed()
        return cell.locator(".jp-OutputArea").first

    def button(self, name: str, words: str, nth: int = 0) -> Any:
        return self.output(name).get_by_role("button", name=words, exact=True).nth(nth)

    def wait(self, name: str, words: str) -> None:
        """Until the status line of a widget says `words`."""
        self.output(name).locator("[role=status]", has_text=words).first.wait_for()

    def label(self, name: str, beginning: str) -> None:
        """Until a picture of a widget has a label that begins so."""
        self.output(name).locator(f'svg[aria-label^="{beginning}"]').first.wait_for()

    def shot(self, name: str, when: str) -> None:
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            self.page.set_viewport_size({"width": 1400, "height": 2400})
            for theme in ("JupyterLab Dark", "JupyterLab Light"):
                self.page.evaluate(f"window.jupyterapp.commands.execute('apputils:change-theme', {{theme: '{theme}'}})")
                self.page.wait_for_timeout(700)
                self.output(name).screenshot(path=f"{SHOTS}/{name}-{when}-{theme.split()[1].lower()}.png")
            self.page.set_viewport_size({"width": 1400, "height": 1000})


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Iterator[Lab]:
    lines = [re.sub(r"^ +", "", cell.strip(), flags=re.MULTILINE) for cell in CELLS.values()]
    lab = Lab(tmp_path_factory.mktemp("lab"), project / "jupyter", one_notebook(*lines))
    yield lab
    lab.stop()


@pytest.fixture(scope="module")
def errors() -> list[str]:
    return []


@pytest.fixture(scope="module")
def widgets(lab: Lab, chromium: str, errors: list[str]) -> Iterator[Widgets]:
    with opened(lab, chromium, errors) as page:
        run_all(page)
        widgets = Widgets(page)
        widgets.button("live", "hold").wait_for()
        yield widgets


@pytest.fixture(autouse=True)
def nothing_goes_wrong_in_the_page(widgets: Widgets, errors: list[str]) -> Iterator[None]:
    yield
    assert errors == []
    assert widgets.page.locator("[data-mime-type*='error'], [data-mime-type*='stderr']").count() == 0


def test_a_living_widget_hides_its_still(widgets: Widgets) -> None:
    for name in CELLS:
        still = widgets.output(name).locator("div[class^=kwlab-]").first
        still.wait_for(state="attached")
        assert not still.is_visible(), name


def test_player_by_mouse(widgets: Widgets) -> None:
    widgets.label("gap", "lanes of 3 tasks, 4 steps")
    widgets.button("gap", "forward").click()
    widgets.label("gap", "step 1 of 4: demo takes worker.lock")
    widgets.button("gap", "next preemption").click()
    widgets.label("gap", "step 2 of 4: main takes worker.lock")
    widgets.label("gap", "worker with thread demo (running); lock held by main, client waits; work_list: A")
    widgets.label("gap", "main did cell:41 in queue()")
    widgets.shot("gap", "preemption")
    widgets.button("gap", "to the bug").click()
    widgets.wait("gap", "lost wake-up: demo sleeps with 1 work queued")
    widgets.button("gap", "back").click()
    widgets.label("gap", "step 3 of 4")
    widgets.output("gap").locator("select").select_option(index=1)
    widgets.label("gap", "step 1 of 4")


def test_player_by_keyboard(widgets: Widgets) -> None:
    page = widgets.page
    widgets.output("gap").locator(".noUi-handle").focus()
    page.keyboard.press("End")
    widgets.label("gap", "step 4 of 4")
    page.keyboard.press("ArrowLeft")
    widgets.label("gap", "step 3 of 4")
    page.keyboard.press("ArrowLeft")
    widgets.label("gap", "step 2 of 4")
    widgets.button("gap", "start").focus()
    page.keyboard.press("Enter")
    widgets.wait("gap", "step 0 of 4: the scenario begins")


# From the next key to the moment at which a picture with the wanted label is in cell number `place`, as the page
# itself sees it.
STOPWATCH = """({place, label}) => {
  window.passed = null;
  let begin = null;
  document.addEventListener('keydown', () => { begin = performance.now(); }, {once: true, capture: true});
  const cell = document.querySelectorAll('.jp-Cell')[place];
  const watch = new MutationObserver(() => {
    if (cell.querySelector(`svg[aria-label^="${label}"]`)) {
      window.passed = performance.now() - begin;
      watch.disconnect();
    }
  });
  watch.observe(cell, {subtree: true, childList: true, attributes: true});
}"""


def taken(widgets: Widgets, name: str, label: str, action: Callable[[], None]) -> float:
    """Milliseconds from the key that `action` presses to a picture of widget `name` whose label begins so."""
    widgets.page.evaluate(STOPWATCH, {"place": list(CELLS).index(name), "label": label})
    action()
    widgets.page.wait_for_function("window.passed !== null")
    return widgets.page.evaluate("window.passed")


# That all views follow is tested; how long it takes is printed (pytest -s), for a bound would only be noise.


def test_a_long_trace_opens(widgets: Widgets) -> None:
    page, times = widgets.page, []
    for _ in range(5):
        widgets.output("opened")
        page.locator(".jp-Cell").nth(list(CELLS).index("opened")).locator(".jp-InputArea").click()
        page.evaluate("window.jupyterapp.commands.execute('notebook:clear-cell-output')")
        widgets.output("opened").locator("svg").first.wait_for(state="detached")
        times.append(taken(widgets, "opened", "lanes of ", lambda: page.keyboard.press("Control+Enter")))
        widgets.wait("opened", "step 0 of 2000")
    print(f"\nA trace of 2,000 events opens in {statistics.median(times):.0f} ms (median of {len(times)})")


def test_a_key_moves_a_long_trace(widgets: Widgets) -> None:
    page = widgets.page
    widgets.output("player").locator(".noUi-handle").first.focus()
    times = [
        taken(widgets, "player", f"step {step} of 2000: turn {step}", lambda: page.keyboard.press("ArrowRight"))
        for step in range(1, 31)
    ]
    print(f"\nFrom key to picture {statistics.median(times):.0f} ms (median of {len(times)})")
    widgets.wait("player", "step 30 of 2000")
    widgets.shot("player", "step30")


def test_be_the_scheduler_by_mouse_and_keyboard(widgets: Widgets) -> None:
    widgets.wait("scheduler", "Who goes on?")
    widgets.shot("scheduler", "start")
    widgets.button("scheduler", "▶ worker").click()
    widgets.wait("scheduler", "Click 1: ")
    widgets.page.keyboard.press("Space")  # the button that was clicked still has the focus
    widgets.wait("scheduler", "Click 2: ")
    widgets.label("scheduler", "worker did loops.py")
    widgets.button("scheduler", "undo").click()
    widgets.wait("scheduler", "The last choice is taken back.")
    widgets.button("scheduler", "▶ worker").focus()
    widgets.page.keyboard.press("Enter")
    widgets.wait("scheduler", "Click 2: ")
    for click, name in enumerate(("main", "main"), 3):
        widgets.button("scheduler", f"▶ {name}").click()
        widgets.wait("scheduler", f"Click {click}: ")
    widgets.wait("scheduler", "You made it go wrong in 4 clicks; no shorter answer is known.")
    widgets.wait("scheduler", "Lost wake-up: worker sleeps with 1 work queued")
    widgets.shot("scheduler", "won")
    widgets.button("scheduler", "back").click()  # of the player that came with the bug
    widgets.label("scheduler", "step 10 of 11")
    widgets.button("scheduler", "start again").click()
    widgets.wait("scheduler", "From the beginning. Who goes on?")
    widgets.button("scheduler", "show me").click()
    widgets.wait("scheduler", "The shortest answer: 4 clicks, worker, worker, main, main (no answer is shorter).")


def test_predict_an_order(widgets: Widgets) -> None:
    widgets.button("order", "commit").click()
    widgets.wait("order", "Enter an answer first")
    for words in ("A", "B", "A"):
        widgets.button("order", words).click()
    widgets.wait("order", "your answer: A B A")
    widgets.button("order", "commit").focus()
    widgets.page.keyboard.press("Enter")
    widgets.wait("order", "The code ran: A B")
    widgets.wait("order", "A was pending.")
    widgets.shot("order", "answered")
    assert widgets.button("order", "commit").is_disabled()


def test_predict_a_choice_by_keyboard(widgets: Widgets) -> None:
    widgets.output("choice").locator("input[type=radio]").first.focus()
    widgets.page.keyboard.press("Space")
    widgets.page.keyboard.press("Tab")
    widgets.page.keyboard.press("Space")
    widgets.button("choice", "commit").click()
    widgets.wait("choice", "The code ran: none (as you said).")


def test_predict_a_number_by_keyboard(widgets: Widgets) -> None:
    widgets.output("number").locator("input[type=text]").fill("3")
    widgets.page.keyboard.press("Tab")
    widgets.page.keyboard.press("Space")
    widgets.wait("number", "The code ran: 2 (you said 3)")


def test_live_queue(widgets: Widgets) -> None:
    widgets.label("live", "worker with thread demo (sleeping); work_list: empty")
    widgets.button("live", "hold").click()
    widgets.label(
        "live", "worker with thread demo (waiting); work_list: empty; delayed_work_list: empty; current_work: hold"
    )
    for nth in (0, 1):
        widgets.button("live", "queue", nth).click()
        widgets.wait("live", "returned True: it is linked now")
    widgets.label("live", "worker with thread demo (waiting); work_list: A, B")
    widgets.button("live", "queue", 0).focus()
    widgets.page.keyboard.press("Enter")
    widgets.wait("live", "returned False: refused, it is pending")
    widgets.output("live").get_by_text("accepted 1, refused 1, started 0").wait_for()
    widgets.button("live", "flush", 1).click()
    widgets.wait("live", "flush_work(B) waits")
    widgets.label("live", "worker with thread demo (waiting); work_list: A, B, flush")
    widgets.shot("live", "held")
    widgets.button("live", "let one go").click()
    widgets.wait("live", "the work returned")
    widgets.label(
        "live", "worker with thread demo (waiting); work_list: B, flush; delayed_work_list: empty; current_work: A"
    )
    widgets.button("live", "queue", 0).click()  # running, so it is queued once more
    widgets.label("live", "worker with thread demo (waiting); work_list: B, flush, A")
    widgets.button("live", "cancel", 0).click()
    widgets.wait("live", "cancel_work_sync(A) waits")
    widgets.button("live", "release").click()
    widgets.wait("live", "flush_work(B) returned")
    widgets.label("live", "worker with thread demo (sleeping); work_list: empty")
    widgets.button("live", "end the thread").click()
    widgets.wait("live", "the thread has ended")


def test_when_the_kernel_is_gone_the_pictures_stay(widgets: Widgets, lab: Lab, errors: list[str]) -> None:
    """Saved by JupyterLab itself, opened again the next day. Last: nothing can be operated afterwards."""
    page = widgets.page
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_function("!window.jupyterapp.shell.currentWidget.context.model.dirty")
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.goto(lab.url)
    page.wait_for_function(READY_TO_RUN)
    for name in CELLS:
        still = widgets.output(name).locator("div[class^=kwlab-]").first
        still.wait_for(state="visible")
        assert still.locator("img[alt]").count() or still.locator("li").count(), name
    widgets.shot("gap", "dead")
    # That the widget's model is gone is what JupyterLab says here.
    errors[:] = [error for error in errors if "widget model not found" not in error]
