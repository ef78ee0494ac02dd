"""A pytest plugin: explore every interleaving of your own small concurrent code. See docs/pytest-plugin.md.

* The fixture ``kwlab_check(scenario, **options)`` searches, and fails the test with the interleaving if it finds a bug;
  with ``finds="deadlock"`` it fails unless it finds a bug of that kind.
* The marker ``@pytest.mark.kwlab_check(**options)`` makes the test function itself the scenario.
* ``pytest --kwlab-replay=SCHEDULE test.py::test_name`` runs one interleaving only, in which a debugger can stop.
* With ``-v`` the summary says what was searched, for each test.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

# The explorer is imported where it is used: this module is loaded by every pytest of the environment.
if TYPE_CHECKING:
    from kwlab.explore import Verdict

__all__ = ["kwlab_check"]

VERDICTS = pytest.StashKey[list[str]]()
Checker = Callable[..., "Verdict"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kwlab", "every interleaving of concurrent code")
    group.addoption(
        "--kwlab-replay", metavar="SCHEDULE", help="run one interleaving only, as a failed check printed it"
    )
    group.addoption("--kwlab-seconds", metavar="S", type=float, help="the longest that a single check may search")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "kwlab_check(**options): the test function is a scenario; search its interleavings (kwlab)"
    )
    config.stash[VERDICTS] = []


@pytest.fixture
def kwlab_check(request: pytest.FixtureRequest) -> Checker:
    """``kwlab_check(scenario, finds=None, **options)``: `kwlab.explore.check`, and the test fails if it finds a bug.

    `finds` names a kind of bug that must be found instead. Returns the `Verdict`.
    """
    return partial(_checked, request.node)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    marker = pyfuncitem.get_closest_marker("kwlab_check")
    if marker is not None:
        if marker.args:
            raise pytest.UsageError(f"{pyfuncitem.nodeid}: kwlab_check takes options by name, not {marker.args!r}")
        function = pyfuncitem.obj
        names = pyfuncitem._fixtureinfo.argnames
        arguments = {name: pyfuncitem.funcargs[name] for name in names}

        def scenario() -> object:
            return function(**arguments)

        def search(**unused: object) -> None:
            _checked(pyfuncitem, scenario, **marker.kwargs)

        scenario.__name__ = pyfuncitem.name
        pyfuncitem.obj = search  # what pytest calls
        try:
            return (yield)
        finally:
            pyfuncitem.obj = function
    return (yield)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.stash[VERDICTS] and config.get_verbosity() > 0:
        terminalreporter.section("kwlab: what was searched")
        for line in config.stash[VERDICTS]:
            terminalreporter.line(line)


def _checked(node: pytest.Item, scenario: Callable[[], object], finds: str | None = None, **options: Any) -> "Verdict":
    __tracebackhide__ = True
    from kwlab.explore import check
    from kwlab.explore.problems import KINDS

    if finds is not None and finds not in KINDS:
        raise pytest.UsageError(f"kwlab_check(finds={finds!r}): the kinds of bug are {', '.join(KINDS)}")
    schedule = node.config.getoption("--kwlab-replay")
    if schedule is not None:
        verdict = _replayed(scenario, schedule, options)
    else:
        options.setdefault("seconds", node.config.getoption("--kwlab-seconds"))
        verdict = check(scenario, **options)
    node.config.stash[VERDICTS].append(f"{node.nodeid}: {verdict}")
    found = verdict.bug.kind if verdict.bug is not None else None
    if found == finds:
        return verdict
    if finds is not None:
        pytest.fail(f"kwlab_check was to find a bug of the kind {finds!r}.\n\n{verdict.explain()}", pytrace=False)
    again = f"\n\nto run only this interleaving:\n  pytest '{node.nodeid}' --kwlab-replay={verdict.schedule}"
    pytest.fail(f"{verdict.explain()}{again}", pytrace=False)


def _replayed(scenario: Callable[[], object], schedule: str, options: dict[str, Any]) -> "Verdict":
    from kwlab.explore import Options, Schedule, Verdict, replay

    given = options.get("options") or Options()
    execution = replay(scenario, schedule, given)
    return Verdict(
        execution.bug,
        "one interleaving",
        executions=1,
        schedule=Schedule.read(schedule),
        scenario=scenario,
        options=given,
    )
