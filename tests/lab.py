"""A JupyterLab of its own for tests, started as `make lab` starts it, and a page of Chromium that looks at it."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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


def one_notebook(*cells: str) -> Callable[[Path], None]:
    """Fills the learner's folder with one notebook of these `cells`."""

    def fill(work: Path) -> None:
        notebook = work / "notebooks/00_tiny.ipynb"
        notebook.parent.mkdir(parents=True)
        nbformat.write(cleared(new_notebook(cells=[new_code_cell(cell) for cell in cells])), notebook)

    return fill


class Lab:
    """A JupyterLab server in a `folder` and a home of its own, on a learner's folder that ``fill(work)`` fills."""

    def __init__(self, folder: Path, jupyter: Path, fill: Callable[[Path], None]) -> None:
        self.root = folder / "course"
        self.work = self.root / "work"
        shutil.copytree(jupyter, self.root / "jupyter", ignore=shutil.ignore_patterns("__pycache__"))
        fill(self.work)
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
                env=environment | {"HOME": str(folder), "KWLAB_HOME": str(self.work)},
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
            printed = re.search(r"http://127\.0\.0\.1:(\d+)\S+token=\w+", self.log.read_text())
            if printed and listens(int(printed[1])):  # it prints first
                return printed.group()
            time.sleep(0.05)
        raise AssertionError(f"no URL was printed, or nobody listens there:\n{self.log.read_text()}")

    def get(self, path: str, query: str = "") -> str:
        with urlopen(f"{self.base}{path}?token={self.token}&{query}", timeout=30) as answer:
            return answer.read().decode()

    def stop(self) -> None:
        self.server.terminate()
        try:
            self.server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()


def listens(port: int) -> bool:
    """True if somebody does on this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


# JupyterLab's debugger asks every kernel that is ready; this is all it says of one that is shut down in that moment.
LEFT_TOO_SOON = "Could not restore the debugger state: Canceled future for debug_request"


@contextmanager
def browsing(chromium: str, errors: list[str]) -> Iterator[Any]:
    """A page of Chromium, still empty; `errors` collects what goes wrong in it."""
    from playwright.sync_api import sync_playwright  # takes a second to import, and only browser tests need it

    def heard(message: Any) -> None:
        if message.type == "error" and not message.text.startswith(LEFT_TOO_SOON):
            errors.append(message.text)

    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"], timeout=60_000
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", heard)
        page.set_default_timeout(60_000)
        yield page
        browser.close()


@contextmanager
def opened(lab: Lab, chromium: str, errors: list[str]) -> Iterator[Any]:
    """A page on the notebook that `lab` opens first, its kernel ready; `errors` as for `browsing`."""
    with browsing(chromium, errors) as page:
        page.goto(lab.url)
        page.wait_for_function(READY_TO_RUN)
        yield page


def promised(page: Any, function: str, argument: object = None, seconds: float = 60) -> Any:
    """What a JavaScript `function` promises, once it is kept. `page.evaluate` alone would wait for it without limit."""
    page.evaluate(
        f"""argument => {{
          window.kept = null;
          Promise.resolve(({function})(argument)).then(
            value => {{ window.kept = {{value}}; }}, error => {{ window.kept = {{error: String(error)}}; }});
        }}""",
        argument,
    )
    page.wait_for_function("window.kept !== null", timeout=seconds * 1000)
    kept = page.evaluate("window.kept")
    assert "error" not in kept, kept["error"]
    return kept.get("value")


def run_all(page: Any, seconds: float = 60) -> None:
    """Run every cell of the notebook in front; returns when all are done, and fails after so many `seconds`."""
    assert promised(page, "() => window.jupyterapp.commands.execute('notebook:run-all-cells')", seconds=seconds)
