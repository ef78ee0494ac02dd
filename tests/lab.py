"""A JupyterLab of its own for tests, started as `make lab` starts it, and a page of Chromium that looks at it."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from kwlab.grade.copies import cleared

# No async function: playwright takes its promise, which is true at once, for the answer.
READY_TO_RUN = """() => {
  const app = window.jupyterapp;
  const session = app?.shell?.currentWidget?.sessionContext;
  return session?.isReady && session.session?.kernel?.status === 'idle'
    && app.commands.hasCommand('notebook:run-all-cells') && !document.querySelector('#jupyterlab-splash');
}"""


class Lab:
    """A JupyterLab server on a course of one notebook with these `cells`, in a folder and a home of its own."""

    def __init__(self, folder: Path, jupyter: Path, cells: Sequence[str] = ("print(6 * 7)",)) -> None:
        self.root = folder / "course"
        shutil.copytree(jupyter, self.root / "jupyter", ignore=shutil.ignore_patterns("__pycache__"))
        notebook = self.root / "work/notebooks/00_tiny.ipynb"
        notebook.parent.mkdir(parents=True)
        nbformat.write(cleared(new_notebook(cells=[new_code_cell(cell) for cell in cells])), notebook)
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


@contextmanager
def opened(lab: Lab, chromium: str, errors: list[str]) -> Iterator[Any]:
    """A page on the notebook of `lab`, its kernel ready; `errors` collects what goes wrong in the page."""
    from playwright.sync_api import sync_playwright  # takes a second to import, and only browser tests need it

    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"], timeout=60_000
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.set_default_timeout(60_000)
        page.goto(lab.url)
        page.wait_for_function(READY_TO_RUN)
        yield page
        browser.close()


def run_all(page: Any) -> None:
    """Run every cell of the notebook; returns when all are done."""
    assert page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
