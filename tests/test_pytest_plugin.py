"""The pytest plugin, and the examples on its page of the documentation."""

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
PLUGIN = ("-p", "kwlab.pytest_plugin", "-p", "no:cacheprovider")


def examples(project: Path) -> dict[str, str]:
    """The test files that stand in docs/pytest-plugin.md."""
    page = (project / "docs" / "pytest-plugin.md").read_text(encoding="utf-8")
    return dict(re.findall(r"```python\n# (test_\w+\.py)\n(.*?)```", page, re.DOTALL))


def test_the_page_has_two_examples(project: Path) -> None:
    assert sorted(examples(project)) == ["test_buffer.py", "test_readers_writer.py"]


@pytest.mark.parametrize(("name", "tests"), [("test_buffer.py", 2), ("test_readers_writer.py", 2)])
def test_an_example_runs_as_it_stands(project: Path, pytester: pytest.Pytester, name: str, tests: int) -> None:
    (pytester.path / name).write_text(examples(project)[name])
    result = pytester.runpytest_inprocess(*PLUGIN, "-v", name)
    result.assert_outcomes(passed=tests)
    result.stdout.fnmatch_lines(["*kwlab: what was searched*", f"*{name}::*: no bug in all interleavings*"])


@pytest.mark.parametrize(
    ("name", "right", "wrong", "failing"),
    [
        ("test_buffer.py", "scenario(BoundedBuffer)", "scenario(Hasty)", "test_the_buffer"),
        ("test_buffer.py", 'finds="exception"', 'finds="deadlock"', "test_if_is_not_enough"),
        ("test_readers_writer.py", "(ReadersWriter())", "(LooksTooEarly())", "test_never_both_inside"),
        (
            "test_readers_writer.py",
            "(LooksTooEarly())",
            "(ReadersWriter())",
            "test_a_look_without_the_lock_lets_both_in",
        ),
    ],
)
def test_the_examples_can_fail(
    project: Path, pytester: pytest.Pytester, name: str, right: str, wrong: str, failing: str
) -> None:
    text = examples(project)[name]
    assert text.count(right) == 1
    (pytester.path / name).write_text(text.replace(right, wrong))
    result = pytester.runpytest_inprocess(*PLUGIN, name)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([f"FAILED {name}::{failing}*"])


LOST = """
    from kwlab import kthread_run, raw_spin_lock_init
    from kwlab.explore import join

    def count():
        lock, count = raw_spin_lock_init("lock"), [0]

        def client(data):
            with lock:
                seen = count[0]
            with lock:
                count[0] = seen + 1

        tasks = [kthread_run(client, None, "client-%d", number) for number in range(2)]
        join(*tasks)
        assert count == [2]
"""


def test_a_failure_shows_the_interleaving_and_how_to_see_it_again(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(LOST + "\n    def test_count(kwlab_check):\n        kwlab_check(count)\n")
    result = pytester.runpytest_inprocess(*PLUGIN)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["assertion: main: AssertionError: assert*", "*is preempted here*", "At the end:"])
    (schedule,) = set(re.findall(r"--kwlab-replay=(\S+)", result.stdout.str()))  # in CI the summary repeats it
    again = pytester.runpytest_inprocess(*PLUGIN, "-v", f"--kwlab-replay={schedule}")
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(["*test_count: assertion: *(found in 1 execution)"])
    other = pytester.runpytest_inprocess(*PLUGIN, "--kwlab-replay=kw1-0x3-5f3a9c-0000")
    other.stdout.fnmatch_lines(["*ScheduleError: the schedule 'kw1-0x3-5f3a9c-0000' is damaged*"])


def test_the_marker_passes_parameters_and_fixtures(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from kwlab import kthread_run
        from kwlab.explore import join

        runs = []

        @pytest.fixture
        def more():
            return 1

        @pytest.mark.kwlab_check
        @pytest.mark.parametrize("clients", [0, 1])
        def test_clients(clients, more):
            runs.append(clients)
            tasks = [kthread_run(lambda data: 0, None, "client-%d", n) for n in range(clients + more)]
            join(*tasks)

        def test_it_ran_again_and_again():
            assert runs.count(0) > 1 and runs.count(1) > 1
        """
    )
    pytester.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("@pytest.mark.kwlab_check(2)", "*kwlab_check takes options by name, not (2,)*"),
        ('@pytest.mark.kwlab_check(finds="gremlin")', "*finds='gremlin'): the kinds of bug are assertion, *"),
        ("@pytest.mark.kwlab_check(depth=2)", "*TypeError: check() got an unexpected keyword argument 'depth'*"),
    ],
)
def test_wrong_use_says_so(pytester: pytest.Pytester, line: str, message: str) -> None:
    pytester.makepyfile(f"import pytest\n\n{line}\ndef test_nothing():\n    pass\n")
    result = pytester.runpytest_inprocess(*PLUGIN)
    assert result.ret != 0
    result.stdout.fnmatch_lines([message])


def test_the_time_can_be_limited(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        LOST.replace("range(2)", "range(4)").replace("assert count == [2]", "")
        + """
    def test_count(kwlab_check):
        verdict = kwlab_check(count)
        assert verdict.guarantee != "all interleavings"
        assert verdict.seconds < 30
"""
    )
    pytester.runpytest_inprocess(*PLUGIN, "--kwlab-seconds=0.05").assert_outcomes(passed=1)


def test_the_plugin_comes_with_the_installation(project: Path) -> None:
    import tomllib

    settings = tomllib.loads((project / "pyproject.toml").read_text())
    # Named like the module, so that `-p kwlab.pytest_plugin` and the entry point are one plugin.
    assert settings["project"]["entry-points"]["pytest11"] == {"kwlab.pytest_plugin": "kwlab.pytest_plugin"}
