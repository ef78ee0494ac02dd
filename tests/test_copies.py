"""The learner's copies: handed out clean, renewed with the course, and never taken from whoever edited them."""

import shutil
from pathlib import Path

import nbformat
import pytest
from grading import open_answer, open_exercise
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from typer.testing import CliRunner

from kwlab.cli import build
from kwlab.grade import copies
from kwlab.grade.copies import FILE, HandedOut, renew, update
from kwlab.grade.exercise import ExerciseError
from kwlab.grade.run import grade
from kwlab.grade.session import reset
from tools import notebooks
from tools.notebooks import NotebookError, code_cells, course_notebooks, exercise_notebooks, read

PLACES = ("notebooks/00_demo.ipynb", "exercises/list_head/list_head.ipynb")


def write(path: Path, *sources: str, run: bool = False) -> None:
    """A notebook with a code cell for each of `sources`, under a title, as run if `run`."""
    outputs = [new_output("stream", text="out")] if run else []
    cells = [new_code_cell(source, outputs=outputs, execution_count=1 if run else None) for source in sources]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Title"), *cells]), path)


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course of one notebook and one exercise, whose folder holds more than its notebook."""
    root = tmp_path / "course"
    for place in PLACES:
        write(root / place, "a = 20", "a + 1", run=True)
    (root / "exercises/list_head/reference.py").write_text("answer = 42\n")
    return root


def updated(course: Path) -> HandedOut:
    return update(course_notebooks(course) + exercise_notebooks(course), course, course / "work")


def names(found: HandedOut) -> dict[str, list[str]]:
    return {kind: [path.name for path in paths] for kind, paths in vars(found).items() if paths}


def test_copies_hold_the_sources_and_no_outputs(course: Path) -> None:
    work = course / "work"
    assert names(updated(course)) == {"made": ["00_demo.ipynb", "list_head.ipynb"]}
    assert sorted(path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file()) == sorted(
        [FILE, *PLACES]
    )
    for place in PLACES:
        copy, source = read(work / place), read(course / place)
        assert [cell.source for cell in copy.cells] == [cell.source for cell in source.cells]
        assert [cell.id for cell in copy.cells] == [cell.id for cell in source.cells]
        for _, cell in code_cells(copy):
            assert (cell.outputs, cell.execution_count) == ([], None)
    assert names(updated(course)) == {"same": ["00_demo.ipynb", "list_head.ipynb"]}


def test_what_nobody_edited_is_renewed_with_the_course(course: Path) -> None:
    updated(course)
    write(course / "work" / PLACES[0], "a = 20", "a + 1", run=True)  # the learner ran it
    write(course / PLACES[0], "a = 21", "a + 1")
    write(course / "notebooks/01_next.ipynb", "b = 1")
    assert names(updated(course)) == {
        "made": ["01_next.ipynb"],
        "renewed": ["00_demo.ipynb"],
        "same": ["list_head.ipynb"],
    }
    assert read(course / "work" / PLACES[0]).cells[1].source == "a = 21"


def test_what_the_course_only_hides_or_folds_is_renewed_too(course: Path) -> None:
    updated(course)
    changed = read(course / PLACES[0])
    changed.cells[1].metadata.jupyter = {"source_hidden": True}
    nbformat.write(changed, course / PLACES[0])
    assert names(updated(course))["renewed"] == ["00_demo.ipynb"]
    assert read(course / "work" / PLACES[0]).cells[1].metadata.jupyter == {"source_hidden": True}


@pytest.mark.parametrize("text", ["half a solution, not even a notebook", "[]", '{"cells": 3}', ""])
def test_what_is_no_notebook_any_more_is_the_learners(course: Path, text: str) -> None:
    updated(course)
    mine = course / "work" / PLACES[0]
    mine.write_text(text)
    assert names(updated(course)) == {"edited": ["00_demo.ipynb"], "same": ["list_head.ipynb"]}
    assert mine.read_text() == text


def test_an_edited_copy_is_never_overwritten_and_what_is_newer_is_said(
    course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    updated(course)
    for place in PLACES:
        write(course / "work" / place, "a = 20", "a + 2  # mine")
    before = [(course / "work" / place).read_bytes() for place in PLACES]
    write(course / PLACES[0], "a = 21")
    for _ in range(2):
        assert names(updated(course)) == {"edited": ["00_demo.ipynb", "list_head.ipynb"], "behind": ["00_demo.ipynb"]}
    monkeypatch.setattr(notebooks, "ROOT", course)
    work = course / "work"
    said = CliRunner().invoke(notebooks.app, ["learner-copies", str(work)]).output.splitlines()
    assert said[0] == f"{work}/: new: 0, renewed: 0, up to date: 0, edited by you and left as they are: 2"
    (newer,) = said[1:]
    assert newer.startswith(f"{work / PLACES[0]}: the course has a newer one; kwlab reset 00 puts it there")
    assert [(course / "work" / place).read_bytes() for place in PLACES] == before


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_text("{"), lambda file: file.write_text("7")])
def test_where_it_is_not_known_what_was_handed_out_only_the_newest_text_is_unedited(course: Path, damage) -> None:
    updated(course)
    damage(course / "work" / FILE)
    write(course / PLACES[0], "a = 21")
    assert names(updated(course)) == {
        "edited": ["00_demo.ipynb"],
        "behind": ["00_demo.ipynb"],
        "renewed": ["list_head.ipynb"],
    }
    assert names(updated(course))["same"] == ["list_head.ipynb"]


def test_an_exercise_with_two_notebooks_is_refused(course: Path) -> None:
    (course / "exercises/list_head/reference.ipynb").write_text("{}")
    with pytest.raises(NotebookError, match=r"2 notebooks \(list_head.ipynb, reference.ipynb\); keep only the one"):
        updated(course)


def test_a_copy_that_cannot_be_written_whole_is_not_left_behind(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        updated(course)
    assert [path for path in (course / "work").rglob("*") if path.is_file()] == []


@pytest.fixture
def learner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KWLAB_HOME", str(tmp_path))
    return tmp_path


def command(*arguments: str):
    return CliRunner().invoke(build(arguments[0]), list(arguments))


def test_a_notebook_is_renewed_and_the_learners_kept(learner: Path, project: Path) -> None:
    copy = learner / "notebooks/03_the_loop_part_one.ipynb"
    copy.parent.mkdir()
    copy.write_text("mine")
    for number in (1, 2):
        done = command("reset", "03")
        assert done.exit_code == 0
        assert f"03_the_loop_part_one.before-reset-{number}.ipynb" in done.output
    assert copy.with_name("03_the_loop_part_one.before-reset-1.ipynb").read_text() == "mine"
    mine, source = (read(path) for path in (copy, project / "notebooks" / copy.name))
    assert [cell.source for cell in mine.cells] == [cell.source for cell in source.cells]
    assert not any(cell.outputs for cell in mine.cells if cell.cell_type == "code")


@pytest.mark.parametrize(("name", "place"), [("00", PLACES[0]), ("list_head", PLACES[1])])
def test_what_was_reset_is_unedited_again(
    course: Path, monkeypatch: pytest.MonkeyPatch, project: Path, name: str, place: str
) -> None:
    if name == "00":
        monkeypatch.setattr(copies, "COURSE", course)
    else:
        shutil.copy(project / place, course / place)
    monkeypatch.setenv("KWLAB_HOME", str(course / "work"))
    monkeypatch.chdir(course)
    updated(course)
    write(course / "work" / place, "mine")
    if name == "00":
        renew(name, course)
    else:
        reset(name)
    write(course / place, "newer")
    assert names(updated(course))["renewed"] == [Path(place).name]


def test_a_notebook_that_is_not_there_is_said(learner: Path) -> None:
    done = command("reset", "77")
    assert done.exit_code == 2
    assert "there is no notebook '77'; there are 00, 01" in done.output
    assert list(learner.iterdir()) == []


def test_the_courses_own_notebook_is_never_renewed_over_itself(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = course / PLACES[0]
    before = own.read_bytes()
    monkeypatch.setenv("KWLAB_HOME", str(course))
    with pytest.raises(ExerciseError, match="the course's own, not a copy"):
        renew("00", course)
    assert own.read_bytes() == before
    assert not (course / FILE).exists()


def test_no_process_of_a_grader_imports_nbformat(tmp_path: Path) -> None:
    """It costs each of them more than the rest of what they import from here; only who reads a notebook needs it."""
    asked = "sorted({'kwlab', 'pytest', 'nbformat', 'ipywidgets'}.intersection(sys.modules))"
    exercise = open_exercise(tmp_path)
    exercise.grader.write_text("import sys\n" + exercise.grader.read_text().replace("expected=42", f"expected={asked}"))
    assert grade(exercise, open_answer(f"return {asked}")).solved
    score = grade(exercise, open_answer("return 0")).scores[0]
    assert score.expected == "['kwlab', 'pytest']"
