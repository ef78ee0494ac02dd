"""The course hangs together: links, claims and words lead where they say, and all ways in lead to the same course."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from packaging.specifiers import SpecifierSet

from tools import claims
from tools.notebooks import course_notebooks, read

LINK = re.compile(r"\]\(([^)\s]+)\)")  # the text of a link may itself hold brackets: [07, In [2]](...)
FENCED = re.compile(r"```.*?```|`[^`\n]*`", re.S)


def links(path: Path) -> Iterator[str]:
    """The targets of all links in a Markdown file or in a notebook's prose, without code."""
    if path.suffix == ".ipynb":
        texts = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]
    else:
        texts = [path.read_text(encoding="utf-8")]
    for text in texts:
        yield from LINK.findall(FENCED.sub("", text))


def anchors(path: Path) -> set[str]:
    """What `#...` may name in a page: its headings as GitHub writes them in addresses."""
    cells = [cell.source for cell in read(path).cells] if path.suffix == ".ipynb" else [path.read_text("utf-8")]
    headings = [heading for text in cells for heading in re.findall(r"^#+ +(.+)$", FENCED.sub("", text), re.M)]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def dead_links(path: Path) -> list[str]:
    """Links of `path` to files, or to headings in them, that are not there."""
    dead = []
    for link in links(path):
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not re.match(r"[a-z]+:", link) and (not target.exists() or (anchor and anchor not in anchors(target))):
            dead.append(f"{path.name}: {link}")
    return dead


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Here, now\n[a](there.md) [b](gone.md#part) `[c](code.md)` [d](https://example.org) [e](there.md#the-part)"
        " [f](there.md#code) [g](#here-now) [h](#elsewhere)"
    )
    (tmp_path / "there.md").write_text("## The *part*\n```\n# code\n```\n")
    assert dead_links(page) == ["page.md: gone.md#part", "page.md: there.md#code", "page.md: #elsewhere"]


def test_every_link_leads_somewhere(project: Path) -> None:
    pages = [*project.glob("*.md"), *project.glob("docs/*.md"), *project.glob("notebooks/*.md")]
    pages += [*course_notebooks(project), *project.glob("exercises/*/*.ipynb")]
    assert [link for page in pages for link in dead_links(page)] == []


def test_each_notebook_links_to_its_neighbours(project: Path) -> None:
    books = {int(path.name[:2]): path for path in course_notebooks(project)}
    for number, path in books.items():
        cells = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]
        last = cells[-1]
        if number - 1 in books:
            assert books[number - 1].name in cells[0], f"{path.name}: its head"
        if number + 1 in books:
            assert f"]({books[number + 1].name})" in last.partition("**Next**")[2], f"{path.name}: its foot"


def test_claims_md_is_what_the_notebooks_say(project: Path) -> None:
    assert claims.marked(project)[2] == []
    assert (project / claims.PAGE).read_text(encoding="utf-8") == claims.page(project), "make claims"


def course_of(root: Path, *cells: nbformat.NotebookNode) -> Path:
    (root / "notebooks").mkdir()
    nbformat.write(new_notebook(cells=list(cells)), root / "notebooks/07_some.ipynb")
    return root


def test_a_claim_is_listed_with_the_cell_that_shows_it(tmp_path: Path) -> None:
    root = course_of(
        tmp_path,
        new_code_cell("1"),
        new_markdown_cell("> **The article says** so.", metadata={"tags": ["claim-10"]}),
        new_code_cell("2", metadata={"tags": ["shows-10", "nbval-ignore-output"]}),
    )
    assert claims.marked(root)[2] == []
    (row,) = [line for line in claims.page(root).splitlines() if line.startswith("| 10 |")]
    assert row.endswith("| [07](07_some.ipynb) | [07, In [2]](07_some.ipynb) |")
    assert "1 are taken up" in claims.page(root)


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        (new_markdown_cell("> **The article says** so."), "a box on the article without a tag claim-N"),
        (new_code_cell("1", metadata={"tags": ["shows-99"]}), "there is no claim 99"),
        (new_markdown_cell("text", metadata={"tags": ["shows-1"]}), "shows-1 is not on a code cell"),
        (new_markdown_cell("> **The article says** so.", metadata={"tags": ["claim-1"]}), "claim 1: no cell shows it"),
        (new_code_cell("1", metadata={"tags": ["claim-1"]}), "claim-1 is not on a box that begins with The article"),
    ],
)
def test_a_wrong_tag_is_named(tmp_path: Path, cell: nbformat.NotebookNode, fault: str) -> None:
    assert fault in "\n".join(claims.marked(course_of(tmp_path, cell))[2])


def test_every_word_of_the_glossary_is_in_the_notebook_that_explains_it(project: Path) -> None:
    rows = [line.strip("| ").split(" | ") for line in (project / "notebooks/glossary.md").read_text().splitlines()[6:]]
    assert len(rows) > 20
    assert [row[0].casefold() for row in rows] == sorted(row[0].casefold() for row in rows)
    for term, chinese, _, met in rows:
        assert re.search(r"[\u4e00-\u9fff]", chinese), term
        (target,) = LINK.findall(met)
        cells = read(project / "notebooks" / target).cells
        assert any(term.casefold() in json.dumps(cell).casefold() for cell in cells), f"{term}: not in {target}"


def test_the_ways_in_install_the_same_course(project: Path) -> None:
    container = json.loads((project / ".devcontainer/devcontainer.json").read_text())
    binder = yaml.safe_load((project / ".binder/environment.yml").read_text())
    (python,) = [one.partition("=")[2] for one in binder["dependencies"] if one.startswith("python=")]
    assert container["image"] == f"python:{python}-bookworm"
    pyproject = (project / "pyproject.toml").read_text()
    assert SpecifierSet(re.search(r'requires-python = "(.+)"', pyproject)[1]).contains(python)

    make, target = container["postCreateCommand"].split()
    assert make == "make"
    assert f"\n{target}: $(STAMP)" in (project / "Makefile").read_text()

    post_build = project / ".binder/postBuild"
    assert os.access(post_build, os.X_OK)
    script = post_build.read_text()
    assert subprocess.run(["bash", "-n", str(post_build)], check=False).returncode == 0
    assert "-c constraints.txt -e .\n" in script
    assert "-m tools.notebooks learner-copies work" in script
