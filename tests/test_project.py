"""The project's own files agree with each other and name nothing of the machine they were made on."""

import re
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tools.notebooks import MACHINE_PATH

# Hosts and addresses of package registries, and of their mirrors by the shape of their paths.
REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|deb\.debian\.org|security\.debian\.org"
    r"|https?://\S*(?:pypi|npm|debian)\S*|https?://\S+/simple\b|--(?:extra-)?index-url|--find-link[s]"
)


@pytest.fixture(scope="module")
def pyproject(project: Path) -> dict:
    return tomllib.loads((project / "pyproject.toml").read_text())["project"]


def pins(project: Path) -> dict[str, str]:
    """Name and version of every line of constraints.txt."""
    return dict(line.split("==") for line in (project / "constraints.txt").read_text().splitlines())


def by_name(requirements: list[str]) -> dict[str, SpecifierSet]:
    return {canonicalize_name(one.name): one.specifier for one in map(Requirement, requirements)}


FROM_PIP = {"perfetto"}  # "pip: -e ." installs it


def test_environment_yml_and_pyproject_name_the_same_dependencies(project: Path, pyproject: dict) -> None:
    environment = yaml.safe_load((project / "environment.yml").read_text())
    assert environment["name"] == "kwlab"
    assert environment["channels"] == ["conda-forge"]
    *conda, pip = environment["dependencies"]
    assert pip == {"pip": ["-e ."]}
    listed = by_name(conda)
    assert listed.pop("pip") == SpecifierSet()
    assert listed.pop("python") == SpecifierSet(pyproject["requires-python"])
    extra = by_name(pyproject["optional-dependencies"]["test"])
    wanted = by_name(pyproject["dependencies"]) | {"nbval": extra["nbval"]}
    assert listed == {name: version for name, version in wanted.items() if name not in FROM_PIP}


def test_every_line_of_the_constraints_pins_one_version(project: Path) -> None:
    lines = (project / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+", line)] == []
    assert len(pins(project)) == len(lines)


def needed(name: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> set[str]:
    """The names of all installed distributions that `name` with its `extras` needs, itself among them."""
    if (name, extras) in seen:
        return set()
    seen.add((name, extras))
    try:
        requires = distribution(name).requires or []
    except PackageNotFoundError:
        return set()
    found = {name}
    for one in map(Requirement, requires):
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras | {""}):
            found |= needed(canonicalize_name(one.name), frozenset(one.extras), seen)
    return found


def test_every_distribution_that_kwlab_needs_is_pinned(project: Path) -> None:
    distributions = needed("kwlab", frozenset({"test"}), set()) - {"kwlab", "pip", "setuptools"}
    assert {"jupyterlab", "greenlet", "pytest", "tornado"} <= distributions
    assert distributions - {canonicalize_name(name) for name in pins(project)} == set()


def test_the_pinned_versions_are_those_that_pyproject_asks_for(project: Path, pyproject: dict) -> None:
    asked = [*pyproject["dependencies"], *chain.from_iterable(pyproject["optional-dependencies"].values())]
    pinned = {canonicalize_name(name): version for name, version in pins(project).items()}
    assert [one for one, specifier in by_name(asked).items() if pinned[one] not in specifier] == []


def tracked(project: Path) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=project, capture_output=True, text=True, check=True).stdout
    return [project / name for name in listed.split("\0") if name and (project / name).is_file()]


def places(pattern: re.Pattern[str], project: Path) -> list[str]:
    """File, line and match of `pattern` in every tracked text file."""
    found = []
    for path in tracked(project):
        content = path.read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
            found += [f"{path.relative_to(project)}:{number}: {match.group()}" for match in pattern.finditer(line)]
    return found


def test_no_tracked_file_names_a_path_of_a_machine(project: Path) -> None:
    assert places(MACHINE_PATH, project) == []


def test_no_tracked_file_names_a_package_registry(project: Path) -> None:
    assert places(REGISTRY, project) == []


HOME = "/" + "home"  # put together, so that this file itself names no such path


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (MACHINE_PATH, f"{HOME}/ann/kwlab/x.py"),
        (MACHINE_PATH, "File " + '"/' + 'root/.venv/lib/x.py"'),
        (MACHINE_PATH, "'/" + "work/main/kwlab'"),
        (MACHINE_PATH, "/tmp/ipykernel_" + "4242/17.py"),
        (MACHINE_PATH, "/" + "Users/ann/kwlab"),
        (REGISTRY, "https:" + "//mirror.example/pypi/simple"),
        (REGISTRY, "pip install --index" + "-url x"),
        (REGISTRY, "https:" + "//mirror.example/simple/"),
    ],
)
def test_what_must_not_be_committed_is_recognised(pattern: re.Pattern[str], text: str) -> None:
    assert pattern.search(text)


@pytest.mark.parametrize(
    "text",
    ["/proc/self/root/etc", "/work/", "work/notebooks/00.ipynb", "./work/*", "/lab/tree/work/notebooks", "/home/"],
)
def test_what_may_be_committed_is_not_reported(text: str) -> None:
    assert not MACHINE_PATH.search(text)


def test_the_licence_is_the_one_that_pyproject_names(project: Path, pyproject: dict) -> None:
    assert (project / "LICENSE").read_text().startswith(f"{pyproject['license']} License\n")
