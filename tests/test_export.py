"""A stored notebook, exported where no kernel runs: every widget still shows its picture and says it in words."""

from html import escape
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import nbformat
import pytest
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook

import kwlab.widgets
from kwlab.grade.copies import cleared
from kwlab.widgets.pictured import Pictured
from tools.notebooks import execute

pytestmark = pytest.mark.threads

# By name: the cell, how the words of its picture begin, and how many images stand in for it.
WIDGETS = {
    "Player": ("kwlab.Player(traces.lost_wakeup())", "lanes of 3 tasks, 4 steps: 1 demo, 2-3 main", 2),
    "BeTheScheduler": ("kwlab.BeTheScheduler(loops.lost_stop, 'Lose the stop.')", "worker with thread none", 2),
    "LiveQueue": ("kwlab.LiveQueue(kwlab.kthread_run_worker(0, 'demo'))", "worker with thread demo (sleeping)", 1),
    "StructExplorer": ("kwlab.StructExplorer()", "struct kthread_worker of Linux 6.18, 56 bytes", 1),
    "NoiseSlider": ("kwlab.NoiseSlider()", "share of the works that had started, by waiting time", 1),
    "Progress": ("kwlab.progress()", "To do: ", 1),
}
PREDICT = "kwlab.Predict('q', 'What <runs>?', lambda: 'B', choices=['A', 'none at all'], why='because')"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    """A notebook with every widget, executed and stored as the course's are; its kernel is gone."""
    path = tmp_path_factory.mktemp("stored") / "widgets.ipynb"
    head = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}.replace('|', '/')); import kwlab, loops, traces"
    )
    head = head.replace(str(Path(__file__).parent), str(Path(__file__).parent).replace("/", "|"))
    cells = [head, *(cell for cell, _, _ in WIDGETS.values()), PREDICT]
    nbformat.write(cleared(new_notebook(cells=[new_code_cell(cell) for cell in cells])), path)
    execute(path)
    return nbformat.read(path, as_version=4)


@pytest.fixture(scope="module")
def page(stored: nbformat.NotebookNode) -> str:
    html, _ = HTMLExporter().from_notebook_node(stored)
    return html


def test_every_widget_is_exported_here() -> None:
    for module in iter_modules(kwlab.widgets.__path__, "kwlab.widgets."):
        import_module(module.name)
    ours = (widget for widget in Pictured.__subclasses__() if widget.__module__.startswith("kwlab."))
    assert {widget.__name__ for widget in ours} == {*WIDGETS, "Predict"}


@pytest.mark.parametrize("name", WIDGETS)
def test_an_export_shows_the_picture_and_its_words(name: str, page: str) -> None:
    _, words, images = WIDGETS[name]
    cells = page.split("</head>")[1].split("jp-CodeCell")[2:]  # behind the text before the first, and the imports
    part = cells[list(WIDGETS).index(name)]
    assert part.count("<img alt=") == images
    assert f'<img alt="{escape(words)}' in part
    assert "data:image/svg+xml;base64," in part
    assert "(a widget: run this notebook to use it)" in part


def test_an_exported_prediction_shows_the_question_and_not_the_answer(page: str) -> None:
    assert "What &lt;runs&gt;?" in page
    assert "<li>none at all</li>" in page
    assert "The code ran" not in page


def test_nothing_stored_needs_a_kernel_or_hides_the_picture(stored: nbformat.NotebookNode, page: str) -> None:
    assert "widgets" not in stored.metadata
    assert "widget-view" not in nbformat.writes(stored)
    assert "{display:none}</style>" not in page.split("</head>")[1]
