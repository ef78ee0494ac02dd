"""No word here is on codespell's list of misspellings: prose, notebooks, docstrings, comments, names."""

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tools.notebooks import read

TEXTS = {".md", ".py", ".toml", ".yaml", ".yml", ".cfg", ".c", ".h", ".ipynb", ".svg", ""}
RECORDED = re.compile(r"(^|/)record(ed|ings)/")  # what a kernel said stays as it said it

# Wrong words that stay: where, which, and why.
ON_PURPOSE = {
    ("tests/test_scenario_format.py", "qeue"): "the error must name a word that somebody mistyped",
    ("tests/test_scenario_format.py", "wroker"): "the error must name a word that somebody mistyped",
}


def misspelt(project: Path, names: Iterable[str], scratch: Path) -> set[tuple[str, str]]:
    """File and word, for each misspelt word. Of a notebook its cells are read, not their outputs."""
    files = {}
    for name in names:
        path = project / name
        if path.suffix == ".ipynb":
            path = scratch / name.replace("/", "-")
            path.write_text("\n".join(cell.source for cell in read(project / name).cells), encoding="utf-8")
        files[str(path)] = name
    command = (sys.executable, "-m", "codespell_lib", "--check-hidden", "--builtin", "clear,rare,informal")
    done = subprocess.run([*command, *files], cwd=project, capture_output=True, text=True, timeout=100, check=False)
    assert done.stderr == ""
    found = re.findall(r"^(.+?):\d+: (\S+) ==> ", done.stdout, re.MULTILINE)
    assert len(found) == done.stdout.count("\n")
    return {(files[path], word) for path, word in found}


def test_every_word_is_spelt_right(project: Path, tmp_path: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=project, capture_output=True, text=True, check=True).stdout
    names = [name for name in listed.split("\0") if name and Path(name).suffix in TEXTS and not RECORDED.search(name)]
    names.remove("tests/test_spelling.py")  # which must name wrong words
    assert len(names) > 300
    assert misspelt(project, names, tmp_path) == set(ON_PURPOSE)


def test_a_misspelt_word_is_found_wherever_it_stands(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("The worker will recieve it.\n")
    (tmp_path / "module.py").write_text('"""A seperate list."""\n\noccured = 1  # the list\n')
    cells = '{"cell_type": "markdown", "metadata": {}, "source": "We recieve."}'
    (tmp_path / "book.ipynb").write_text(
        f'{{"cells": [{cells}], "metadata": {{}}, "nbformat": 4, "nbformat_minor": 4}}'
    )
    assert misspelt(tmp_path, ["README.md", "module.py", "book.ipynb"], tmp_path) == {
        ("README.md", "recieve"),
        ("module.py", "seperate"),
        ("module.py", "occured"),
        ("book.ipynb", "recieve"),
    }
