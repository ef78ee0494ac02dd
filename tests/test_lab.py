"""JupyterLab, started as `make lab` starts it, greets a learner with the course and with nothing else."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools.notebooks import cleared

# No async function: playwright takes its promise, which is true at once, for the answer.
READY_TO_RUN = """() => {
  const app = window.jupyterapp;
  const session = app?.shell?.currentWidget?.sessionContext;
  return session?.isReady && session.session?.kernel?.status === 'idle'
    && app.commands.hasCommand('notebook:run-all-cells') && !document.querySelector('#jupyterlab-splash');
}"""


class Lab:
    """A JupyterLab server on a course of one notebook, in a folder and a home of its own."""

    def __init__(self, folder: Path, jupyter: Path) -> None:
        self.root = folder / "course"
        shutil.copytree(jupyter, self.root / "jupyter", ignore=shutil.ignore_patterns("__pycache__"))
        notebook = self.root / "work/notebooks/00_tiny.ipynb"
        notebook.parent.mkdir(parents=True)
        nbformat.write(cleared(new_notebook(cells=[new_code_cell("print(6 * 7)")])), notebook)
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("DISPLAY", "WAYLAND_DISPLAY") and not name.startswith("JUPYTER")
        }
        self.log = folder / "lab.log"
        with self.log.open("wb") as log:
            self.server = subprocess.Popen(
                [
                    *(sys.executable, "-m", "jupyterlab", "--config=jupyter/jupyter_lab_config.py"),
                    "--LabApp.expose_app_in_browser=True",
                ],
                cwd=self.root,
                env=environment | {"HOME": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self.url = self.printed_url()
        except BaseException:
            self.stop()
            raise
        self.base, self.token = re.fullmatch(r"(http://[^/]+)/\S*\?token=(\w+)", self.url).groups()

    def printed_url(self) -> str:
        """The address, token and all, that the server prints for the learner."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.server.poll() is None:
            if printed := re.search(r"http://127\.0\.0\.1:\S+token=\w+", self.log.read_text()):
                return printed.group()
            time.sleep(0.05)
        raise AssertionError(f"no URL was printed:\n{self.log.read_text()}")

    def get(self, path: str) -> str:
        with urlopen(f"{self.base}{path}?token={self.token}", timeout=30) as answer:
            return answer.read().decode()

    def stop(self) -> None:
        self.server.terminate()
        try:
            self.server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"), project / "jupyter")
    yield lab
    lab.stop()


def test_the_printed_url_opens_the_first_notebook(lab: Lab) -> None:
    assert lab.url.startswith(f"{lab.base}/lab/tree/notebooks/00_tiny.ipynb?token=")
    with urlopen(lab.url, timeout=30) as answer:
        assert answer.status == 200
        assert "JupyterLab" in answer.read().decode()


def test_without_the_token_nothing_is_shown(lab: Lab) -> None:
    with pytest.raises(HTTPError, match="403"):
        urlopen(f"{lab.base}/api/contents", timeout=30)


def test_the_learner_sees_the_course_and_no_files_of_ours(lab: Lab) -> None:
    listed = json.loads(lab.get("/api/contents"))["content"]
    assert [entry["name"] for entry in listed] == ["notebooks"]


def test_no_news_and_no_updates_are_asked_for(lab: Lab) -> None:
    answer = json.loads(lab.get("/lab/api/settings/@jupyterlab/apputils-extension:notification"))
    defaults = {name: answer["schema"]["properties"][name]["default"] for name in ("fetchNews", "checkForUpdates")}
    assert defaults == {"fetchNews": "false", "checkForUpdates": False}
    page = re.search(r'id="jupyter-config-data" type="application/json">(.*?)</script>', lab.get("/lab"), re.DOTALL)
    assert "@jupyterlab/apputils-extension:announcements" in json.loads(page.group(1))["disabledExtensions"]


@pytest.mark.browser
def test_a_learner_opens_the_page_and_runs_the_notebook(lab: Lab, chromium: str, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright  # takes a second to import, and only this test needs it

    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"], timeout=60_000
        )
        page = browser.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(lab.url)
        page.wait_for_function(READY_TO_RUN, timeout=60_000)
        page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        page.locator(".jp-OutputArea-output", has_text="42").wait_for(timeout=30_000)
        pop_ups = page.locator(".Toastify__toast, .jp-Dialog").all_inner_texts()
        browser.close()
    assert pop_ups == []
    assert errors == []
