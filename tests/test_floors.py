"""Imports run down the floors of the house, never up: what is below can be read without what is above."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

# From top to bottom. A name covers the module and everything inside the package of that name.
FLOORS: list[tuple[str, set[str]]] = [
    ("cli", {"cli"}),
    ("surfaces", {"course", "pytest_plugin", "widgets", "grade", "checking", "bench", "museum", "report"}),
    ("pictures", {"draw"}),
    ("search", {"explore"}),
    ("evidence", {"scenario", "trace", "host", "oracle"}),
    ("the subject", {"worker", "workqueue", "executor", "face"}),
    ("kthreads", {"kthread", "timer", "freezer"}),
    ("primitives", {"sched", "struct", "listhead", "bug", "tracepoint", "printk"}),
    ("runtimes", {"runtime"}),
    ("errors", {"errors", "files"}),
]
STOREY = {module: len(FLOORS) - number for number, (_, modules) in enumerate(FLOORS) for module in modules}

# Libraries that only one package may know.
ONLY_IN = {"ipywidgets": "widgets"}


def imports(source: str, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Line and absolute name of all that `source` imports when it runs (not for a type checker alone).

    `from a import b` gives `a.b`: b may be a module of the package a.
    """
    package = module if is_package else module.rpartition(".")[0]
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            waiting += node.orelse
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join(parents[: len(parents) - node.level + 1] + ([base] if base else []))
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        else:
            waiting += ast.iter_child_nodes(node)


def faults(package: Path) -> list[str]:
    """Every import in the tree of the package `kwlab` that the floors forbid, and every module without a floor."""
    found = []
    for path in sorted(package.rglob("*.py")):
        inside = path.relative_to(package).with_suffix("").parts
        is_package = inside[-1] == "__init__"
        parts = inside[:-1] if is_package else inside
        if not parts:
            continue  # kwlab/__init__.py, the public face, shows modules of every floor
        name = parts[0]
        if name not in STOREY:
            found.append(f"{path.name}: {name!r} is on no floor; add it to FLOORS in tests/test_floors.py")
            continue
        for line, imported in imports(path.read_text(encoding="utf-8"), ".".join(("kwlab", *parts)), is_package):
            where = f"{path.relative_to(package.parent)}:{line}"
            top, _, rest = imported.partition(".")
            if top in ONLY_IN and name != ONLY_IN[top]:
                found.append(f"{where}: only kwlab.{ONLY_IN[top]} may import {top}")
            if top != "kwlab":
                continue
            target = rest.partition(".")[0]
            if not target or not ((package / target).is_dir() or (package / f"{target}.py").is_file()):
                found.append(f"{where}: import from the module that defines a name, not from kwlab itself")
            elif target in STOREY and STOREY[target] > STOREY[name]:
                found.append(f"{where}: kwlab.{name} may not import kwlab.{target}, which is on a floor above it")
    return found


def test_every_import_in_kwlab_runs_down_the_floors(project: Path) -> None:
    assert faults(project / "kwlab") == []


@pytest.mark.parametrize(
    ("module", "source", "fault"),
    [
        ("listhead.py", "from kwlab.worker import KthreadWorker", "kwlab.listhead may not import kwlab.worker"),
        ("listhead.py", "from kwlab import worker", "kwlab.listhead may not import kwlab.worker"),
        ("listhead.py", "import kwlab.worker as w", "kwlab.listhead may not import kwlab.worker"),
        ("listhead.py", "from .worker import KthreadWorker", "kwlab.listhead may not import kwlab.worker"),
        ("runtime/threads.py", "from .. import sched", "kwlab.runtime may not import kwlab.sched"),
        ("runtime/threads.py", "from ..sched import current", "kwlab.runtime may not import kwlab.sched"),
        ("listhead.py", "def f():\n    import kwlab.worker", "kwlab.listhead may not import kwlab.worker"),
        ("listhead.py", "if not TYPE_CHECKING:\n    import kwlab.worker", "may not import kwlab.worker"),
        ("worker.py", "from kwlab import KthreadWork", "not from kwlab itself"),
        ("worker.py", "import kwlab", "not from kwlab itself"),
        ("draw/svg.py", "import ipywidgets", "only kwlab.widgets may import ipywidgets"),
        ("newcomer.py", "", "'newcomer' is on no floor; add it to FLOORS"),
    ],
)
def test_an_import_that_is_not_allowed_is_found(tmp_path: Path, module: str, source: str, fault: str) -> None:
    package = house(tmp_path)
    (package / module).write_text(source)
    (found,) = faults(package)
    assert fault in found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("__init__.py", "from kwlab.worker import KthreadWorker"),
        ("worker.py", "from kwlab.sched import current"),
        ("worker.py", "from . import sched"),
        ("sched.py", "from kwlab.listhead import ListHead"),
        ("widgets/player.py", "import ipywidgets"),
        ("listhead.py", "if TYPE_CHECKING:\n    from kwlab.worker import KthreadWorker"),
    ],
)
def test_an_import_that_is_allowed_is_not_reported(tmp_path: Path, module: str, source: str) -> None:
    package = house(tmp_path)
    (package / module).write_text(source)
    assert faults(package) == []


def house(folder: Path) -> Path:
    """A package kwlab whose modules are all empty."""
    package = folder / "kwlab"
    for module in ("worker.py", "sched.py", "listhead.py", "runtime/threads.py", "draw/svg.py", "widgets/player.py"):
        (package / module).parent.mkdir(parents=True, exist_ok=True)
        (package / module).touch()
    return package
