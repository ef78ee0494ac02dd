"""Store notebooks the way this course wants them, and hand learners clean copies.

    python -m tools.notebooks execute [FILES]      run top to bottom, store the outputs
    python -m tools.notebooks learner-copies DEST  copies without outputs, for `make lab`

A stored notebook is evidence that nbval compares with a new run, so it holds what every machine prints alike:
no widget state, no timing, no patch version of Python, no path of the machine that executed it.
"""

import json
import os
import re
from pathlib import Path
from typing import Annotated

import nbformat
import typer
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from kwlab.files import put
from kwlab.grade.copies import cleared, update

os.environ.setdefault("KWLAB_PROGRESS", "off")  # a line that comes only on slow machines is not to be stored
ROOT = Path(__file__).resolve().parent.parent
MAX_BYTES = 300_000
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

# Homes of users, the temporary files of a kernel (in tracebacks and warnings), and the folder this very project is in.
MACHINE_PATH = re.compile(
    r"/home/[A-Za-z_][\w.-]*|/Users/[A-Za-z_][\w.-]*|[A-Z]:\\+Users\\|(?<![\w.])/(?:root)/"
    r"|(?<![\w.)}])/(?:work)/[\w.]|/ipykernel_\d+/|" + re.escape(f"{ROOT}/")
)

# A picture as a screen reader meets it: an SVG drawn in the page, an image, one in Markdown.
PICTURE = re.compile(r"<svg\b[^>]*>|<img\b[^>]*>|!\[[^\]]*\]\([^)]*\)")
IN_WORDS = re.compile(r"""<svg(?=[^>]*\srole="img")[^>]*\saria-label="[^"]|<img[^>]*\salt="[^"]|!\[[^\]]""")

app = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True, rich_markup_mode=None)


class NotebookError(Exception):
    """A notebook that cannot be stored or copied; the message names it, the cell, and what to do."""


def code_cells(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    """The code cells that hold any code, each with its place among all cells, counted from 1."""
    return [
        (place, cell)
        for place, cell in enumerate(notebook.cells, start=1)
        if cell.cell_type == "code" and cell.source.strip()
    ]


def problems(notebook: NotebookNode, *, executed: bool = True) -> list[str]:
    """What keeps `notebook` from being committed, one sentence each; empty if nothing does.

    `executed` says whether it must be stored as run top to bottom (the course is, an exercise is not).
    """
    found = []
    kernel = notebook.metadata.get("kernelspec", {}).get("name")
    if kernel != "python3":
        found.append(f"its kernelspec is {kernel!r}, not 'python3'")
    if "widgets" in notebook.metadata:
        found.append("metadata.widgets is stored")
    version = notebook.metadata.get("language_info", {}).get("version", "")
    if version.count(".") > 1:
        found.append(f"language_info.version {version!r} names a patch version")
    for count, (place, cell) in enumerate(code_cells(notebook), start=1):
        if executed and cell.execution_count != count:
            found.append(f"cell {place}: execution_count is {cell.execution_count}, run top to bottom it is {count}")
        if "execution" in cell.metadata or "ExecuteTime" in cell.metadata:
            found.append(f"cell {place}: timing metadata is stored")
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"cell {place}: an error is stored: {output.ename}: {output.evalue}")
            found += [f"cell {place}: {picture} has no words for those who cannot see it" for picture in mute(output)]
    for place, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "markdown":
            found += [
                f"cell {place}: {picture} has no words for those who cannot see it" for picture in wordless(cell.source)
            ]
        if path := MACHINE_PATH.search(json.dumps(cell)):
            found.append(f"cell {place}: a path of this machine is stored: {path.group()!r}")
    if (size := len(serialise(notebook).encode())) >= MAX_BYTES:
        found.append(f"it takes {size} bytes, the limit is {MAX_BYTES}")
    return found


def wordless(text: str) -> list[str]:
    """The pictures in HTML or Markdown that nothing describes, each by the beginning of its tag."""
    return [picture[:60] for picture in PICTURE.findall(text) if not IN_WORDS.match(picture)]


def mute(output: NotebookNode) -> list[str]:
    """The pictures of an output that nothing describes; a bare image/... has no place for words at all."""
    data = output.get("data", {})
    bare = [kind for kind in data if kind.startswith("image/")]
    return bare + wordless(data.get("text/html", ""))


def serialise(notebook: NotebookNode) -> str:
    """The notebook as the text of its file."""
    text: str = nbformat.writes(notebook, version=4)
    return text + "\n"


def varies(cell: NotebookNode) -> bool:
    """Whether the output of `cell` differs from run to run, and is not compared."""
    return "nbval-ignore-output" in cell.metadata.get("tags", ())


def keep(cell: NotebookNode, outputs: list[NotebookNode]) -> None:
    """Give `cell` these outputs of an earlier run."""
    for output in outputs:
        if "execution_count" in output:
            output.execution_count = cell.execution_count
    cell.outputs = outputs


def drop_widget_views(notebook: NotebookNode) -> None:
    """Leave of every stored widget its static picture: the view names a model that died with its kernel."""
    for _, cell in code_cells(notebook):
        for output in cell.outputs:
            output.get("data", {}).pop(WIDGET_VIEW, None)


def read(path: Path) -> NotebookNode:
    """The notebook in `path`, or a `NotebookError` that says why it cannot be read."""
    try:
        notebook: NotebookNode = nbformat.read(path, as_version=4)
    except OSError as error:
        raise NotebookError(f"{path}: {error.strerror}") from error
    except Exception as error:  # nbformat has no common base for what a damaged file raises
        raise NotebookError(f"{path}: not a notebook: {error}") from error
    return notebook


def execute(path: Path, *, timeout: float = 120) -> None:
    """Run the notebook in `path` top to bottom, at most `timeout` seconds a cell, and store it with its outputs.

    The file changes only if every cell ran and the result may be committed; else a `NotebookError` says what is wrong.
    A cell whose output cannot repeat keeps the one that it has, so that executing twice changes nothing.
    """
    notebook = read(path)
    stored = [(cell, cell.outputs) for _, cell in code_cells(notebook) if cell.outputs and varies(cell)]
    notebook = cleared(notebook)
    place = 0

    def running(cell: NotebookNode, cell_index: int) -> None:
        nonlocal place
        place = cell_index + 1

    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=timeout,
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        on_cell_execute=running,
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise NotebookError(f"{path}: cell {place} failed: {error.ename}: {error.evalue}") from error
    except (CellTimeoutError, DeadKernelError) as error:
        raise NotebookError(f"{path}: cell {place} did not end: {error}") from error
    drop_widget_views(notebook)
    for cell, outputs in stored:
        keep(cell, outputs)
    notebook.metadata.language_info.pop("version", None)
    if found := problems(notebook):
        raise NotebookError(f"{path}: not stored: " + "; ".join(found))
    put(path, serialise(notebook))


def course_notebooks(root: Path) -> list[Path]:
    """The notebooks of the course, in order."""
    return sorted((root / "notebooks").glob("*.ipynb"))


def exercise_notebooks(root: Path) -> list[Path]:
    """The learner's notebook of each exercise: the only one in the exercise's folder."""
    found: list[Path] = []
    for folder in sorted(path for path in (root / "exercises").glob("*") if path.is_dir()):
        here = sorted(folder.glob("*.ipynb"))
        if len(here) > 1:
            names = ", ".join(path.name for path in here)
            raise NotebookError(f"{folder}: {len(here)} notebooks ({names}); keep only the one that learners open")
        found += here
    return found


@app.command("execute")
def execute_command(
    files: Annotated[list[Path] | None, typer.Argument(help="Notebooks; by default all in notebooks/.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that one cell may take.")] = 120,
) -> None:
    """Execute notebooks top to bottom and store them with their outputs."""
    failed = False
    for path in files or course_notebooks(Path(os.path.relpath(ROOT))):
        try:
            execute(path, timeout=timeout)
        except NotebookError as error:
            failed = True
            typer.echo(error, err=True)
        else:
            typer.echo(f"{path}: executed")
    if failed:
        raise typer.Exit(1)


@app.command("learner-copies")
def learner_copies_command(
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="Folder of the learner's own copies.")],
) -> None:
    """Give the learner a copy, without outputs, of every notebook that DEST lacks or has only an older copy of.

    A copy that the learner edited stays as it is.
    """
    try:
        done = update(course_notebooks(ROOT) + exercise_notebooks(ROOT), ROOT, destination)
    except NotebookError as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from error
    typer.echo(
        f"{destination}/: new: {len(done.made)}, renewed: {len(done.renewed)}, up to date: {len(done.same)}, "
        f"edited by you and left as they are: {len(done.edited)}"
    )
    for copy in done.behind:
        name = copy.stem[:2] if copy.parent.name == "notebooks" else copy.stem
        typer.echo(f"{copy}: the course has a newer one; kwlab reset {name} puts it there and keeps yours beside it")


if __name__ == "__main__":
    app()
