"""What several test files share: where the project is, and what the markers `root` and `browser` need."""

import os
import shutil
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def pytest_configure() -> None:
    """A shell that starts us in the background has SIGINT ignored by us and by all whom we start; the tests send it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine cannot run; in CI the browser must be there, so that no skip hides a missing one.

    Files with slow tests come first: when several processes share the files, none is left alone with a long one.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    browser_missing = not CHROMIUM and not os.environ.get("CI")
    for item in items:
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root"))
        if item.get_closest_marker("browser") and browser_missing:
            item.add_marker(pytest.mark.skip(reason="needs Debian's chromium: make setup-ci"))


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of the project's tree."""
    return ROOT


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Debian's Chromium."""
    if not CHROMIUM:
        pytest.fail("no chromium here: make setup-ci")
    return CHROMIUM
