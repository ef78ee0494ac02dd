"""The stored notebooks are fresh and comparable, and the tool that stores and copies them keeps them so."""

import subprocess
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbval.plugin import find_comment_markers, find_metadata_tags
from typer.testing import CliRunner

from kwlab.grade.copies import cleared
from tools import notebooks
from tools.notebooks import MAX_BYTES, NotebookError, code_cells, execute, problems, read

EXEMPT_OF_ALL = 0.05
EXEMPT_OF_ONE = 0.20


def exempt(cell: NotebookNode) -> bool:
    """Whether nbval, by its own reading of tags and comments, does not compare the cell's output."""
    markers = {*find_metadata_tags(cell.metadata), *find_comment_markers(cell.source)}
    return not markers.isdisjoint({("check", False), ("skip", True)})


def too_many_exempt(books: dict[str, NotebookNode]) -> list[str]:
    """Each share of exempt cells that is over its limit, in words."""
    count = {name: (sum(exempt(cell) for _, cell in code_cells(nb)), len(code_cells(nb))) for name, nb in books.items()}
    found = [
        f"{name}: {exempted} of {cells} code cells are exempt from nbval, over {EXEMPT_OF_ONE:.0%}"
        for name, (exempted, cells) in count.items()
        if exempted > EXEMPT_OF_ONE * cells
    ]
    exempted, cells = (sum(column) for column in zip(*count.values(), strict=True)) if count else (0, 0)
    if exempted > EXEMPT_OF_ALL * cells:
        found.append(f"all notebooks: {exempted} of {cells} code cells are exempt from nbval, over {EXEMPT_OF_ALL:.0%}")
    return found


def tracked_notebooks(project: Path) -> list[Path]:
    command = ["git", "ls-files", "-z", "notebooks/*.ipynb", "exercises/*.ipynb"]
    listed = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout
    return [project / name for name in listed.split("\0") if name]


def test_every_tracked_notebook_is_stored_as_it_should_be(project: Path) -> None:
    found = []
    for path in tracked_notebooks(project):
        name = path.relative_to(project)
        found += [f"{name}: {problem}" for problem in problems(read(path), executed=name.parts[0] == "notebooks")]
    assert found == []


def test_few_cells_are_exempt_from_nbval(project: Path) -> None:
    course = [path for path in tracked_notebooks(project) if path.is_relative_to(project / "notebooks")]
    assert too_many_exempt({path.name: read(path) for path in course}) == []


def test_the_exempt_cells_are_counted() -> None:
    def book(cells: int, *exempted: NotebookNode) -> NotebookNode:
        return new_notebook(cells=[*(new_code_cell("1") for _ in range(cells)), *exempted])

    tagged = new_code_cell("1", metadata={"tags": ["nbval-ignore-output"]})
    commented = new_code_cell("# NBVAL_IGNORE_OUTPUT\n1")
    skipped = new_code_cell("# NBVAL_SKIP\n1")
    assert too_many_exempt({}) == []
    assert too_many_exempt({"a": book(16, tagged, commented), "b": book(22)}) == []
    assert too_many_exempt({"a": book(15, tagged, commented), "b": book(22)}) == [
        "all notebooks: 2 of 39 code cells are exempt from nbval, over 5%"
    ]
    assert too_many_exempt({"a": book(5, tagged, skipped), "b": book(93)}) == [
        "a: 2 of 7 code cells are exempt from nbval, over 20%"
    ]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A tiny notebook as an editor may leave it: old outputs, timing, widget state, somebody's own kernel."""
    book = new_notebook(
        cells=[
            new_markdown_cell("# A tiny notebook"),
            new_code_cell("a = 20\nprint('twenty')", execution_count=7, metadata={"execution": {"iopub.status": "t"}}),
            new_code_cell(""),
            new_code_cell("a + 1", execution_count=3, outputs=[new_output("stream", text="stale")]),
        ],
        metadata={"kernelspec": {"name": "mine", "display_name": "mine"}, "widgets": {}},
    )
    path = tmp_path / "tiny.ipynb"
    nbformat.write(book, path)
    return path


def test_execute_stores_outputs_and_nothing_of_the_machine(stored: Path) -> None:
    execute(stored)
    book = read(stored)
    assert problems(book) == []
    (_, first), (_, second) = code_cells(book)
    assert (first.execution_count, second.execution_count) == (1, 2)
    assert first.outputs == [{"output_type": "stream", "name": "stdout", "text": "twenty\n"}]
    assert [output.data for output in second.outputs] == [{"text/plain": "21"}]
    assert book.metadata.kernelspec.name == "python3"
    assert "version" not in book.metadata.language_info
    assert set(book.metadata) == {"kernelspec", "language_info"}
    assert first.metadata == second.metadata == {}


def test_execute_twice_gives_the_same_file(stored: Path) -> None:
    execute(stored)
    once = stored.read_bytes()
    execute(stored)
    assert stored.read_bytes() == once


def test_what_cannot_repeat_is_stored_once(stored: Path) -> None:
    exempt_cell = {"metadata": {"tags": ["nbval-ignore-output"]}}
    book = read(stored)
    book.cells += [new_code_cell("import os\nos.urandom(8)", **exempt_cell), new_code_cell("os.urandom(8)")]
    nbformat.write(book, stored)
    execute(stored)
    first = read(stored)
    first.cells.insert(1, new_code_cell("'another cell'"))  # the counts move, the outputs stay
    nbformat.write(first, stored)
    execute(stored)
    second = read(stored)
    assert problems(second) == []
    assert second.cells[-2].outputs[0].data == first.cells[-2].outputs[0].data
    assert second.cells[-2].outputs[0].execution_count == second.cells[-2].execution_count
    assert second.cells[-1].outputs[0].data != first.cells[-1].outputs[0].data
    renewed = read(stored)
    renewed.cells[-2].outputs = []
    nbformat.write(renewed, stored)
    execute(stored)
    assert read(stored).cells[-2].outputs[0].data != second.cells[-2].outputs[0].data


def test_a_widget_is_stored_as_the_picture_that_stands_in_for_it(stored: Path) -> None:
    book = read(stored)
    book.cells.append(new_code_cell("from kwlab import StructExplorer\nStructExplorer()"))
    nbformat.write(book, stored)
    execute(stored)
    picture, view = read(stored).cells[-1].outputs
    assert sorted(picture.data) == ["text/html", "text/plain"]
    assert '<img alt="struct kthread_worker of Linux' in picture.data["text/html"]
    assert view.data == {"text/plain": "(a widget: run this notebook to use it)"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", r"cell 5 failed: ZeroDivisionError: division by zero"),
        ("import os; print(os.path.abspath('/' + 'home/ann/x'))", r"not stored: cell 5: a path of this machine .*ann"),
        ("print(('x' * 99 + '\\n') * 3_000)", r"not stored: it takes \d+ bytes, the limit is 300000"),
        ("import os; os._exit(3)", r"cell 5 did not end: .*[Kk]ernel died"),
    ],
)
def test_what_may_not_be_stored_is_refused_and_the_file_stays_as_it_was(
    stored: Path, source: str, message: str
) -> None:
    book = read(stored)
    book.cells.append(new_code_cell(source))
    nbformat.write(book, stored)
    before = stored.read_bytes()
    with pytest.raises(NotebookError, match=f"tiny.ipynb: {message}"):
        execute(stored)
    assert stored.read_bytes() == before
    assert list(stored.parent.iterdir()) == [stored]


def test_a_cell_that_does_not_end_is_named(stored: Path) -> None:
    book = read(stored)
    book.cells.insert(1, new_code_cell("import threading; threading.Event().wait()"))
    nbformat.write(book, stored)
    with pytest.raises(NotebookError, match=r"cell 2 did not end: .*timed out"):
        execute(stored, timeout=1)


def test_the_command_names_what_failed_and_goes_on(stored: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.ipynb"
    broken.write_text("{")
    missing = tmp_path / "missing.ipynb"
    result = CliRunner().invoke(notebooks.app, ["execute", str(broken), str(missing), str(stored)])
    assert result.exit_code == 1
    assert f"{broken}: not a notebook" in result.output
    assert f"{missing}: No such file" in result.output
    assert f"{stored}: executed" in result.output


def fresh() -> NotebookNode:
    book = new_notebook(cells=[new_markdown_cell("text"), new_code_cell("1", execution_count=1)])
    book.metadata = NotebookNode(kernelspec=NotebookNode(name="python3"), language_info=NotebookNode(version="3.11"))
    return book


def damage_kernel(book: NotebookNode) -> None:
    book.metadata.kernelspec.name = "kwlab-env"


def damage_widgets(book: NotebookNode) -> None:
    book.metadata.widgets = {}


def damage_version(book: NotebookNode) -> None:
    book.metadata.language_info.version = "3.11.7"


def damage_count(book: NotebookNode) -> None:
    book.cells[1].execution_count = 2


def damage_timing(book: NotebookNode) -> None:
    book.cells[1].metadata.execution = {"iopub.status.busy": "t"}


def damage_error(book: NotebookNode) -> None:
    book.cells[1].outputs = [new_output("error", ename="ValueError", evalue="no", traceback=[])]


def damage_path(book: NotebookNode) -> None:
    book.cells[0].source = "see /tmp/ipykernel_" + "77/1.py"


def damage_size(book: NotebookNode) -> None:
    book.cells[0].source = "x" * MAX_BYTES


def shows(book: NotebookNode, kind: str, picture: str) -> None:
    book.cells[1].outputs = [new_output("display_data", {kind: picture})]


def damage_drawing(book: NotebookNode) -> None:
    shows(book, "text/html", '<p><svg role="img" aria-label="a"></svg><svg role="img" width="9"></svg>')


def damage_label(book: NotebookNode) -> None:
    shows(book, "text/html", '<svg aria-label="a queue, which nobody is told is one picture">')


def damage_image(book: NotebookNode) -> None:
    shows(book, "text/html", '<img alt="" src="x">')


def damage_bare(book: NotebookNode) -> None:
    shows(book, "image/png", "iVBORw0KGgo=")


def damage_markdown(book: NotebookNode) -> None:
    book.cells[0].source = "![a queue](queue.svg) ![](lanes.svg)"


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (damage_drawing, 'cell 2: <svg role="img" width="9"> has no words for those who cannot see it'),
        (damage_label, 'cell 2: <svg aria-label="a queue'),
        (damage_image, 'cell 2: <img alt="" src="x"> has no words'),
        (damage_bare, "cell 2: image/png has no words"),
        (damage_markdown, "cell 1: ![](lanes.svg) has no words"),
        (damage_kernel, "its kernelspec is 'kwlab-env', not 'python3'"),
        (damage_widgets, "metadata.widgets is stored"),
        (damage_version, "language_info.version '3.11.7' names a patch version"),
        (damage_count, "cell 2: execution_count is 2, run top to bottom it is 1"),
        (damage_timing, "cell 2: timing metadata is stored"),
        (damage_error, "cell 2: an error is stored: ValueError: no"),
        (damage_path, "cell 1: a path of this machine is stored: '/ipykernel_" + "77/'"),
        (damage_size, "it takes "),
    ],
)
def test_each_problem_of_a_stored_notebook_is_found(damage, problem: str) -> None:
    book = fresh()
    assert problems(book) == []
    damage(book)
    (found,) = problems(book)
    assert found.startswith(problem)


def test_an_exercise_need_not_be_executed() -> None:
    assert problems(cleared(fresh()), executed=False) == []
