"""JupyterLab, started as `make lab` starts it, greets a learner with the course and with nothing else."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from lab import Lab, one_notebook, opened, run_all


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"), project / "jupyter", one_notebook("print(6 * 7)"))
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
def test_a_learner_opens_the_page_and_runs_the_notebook(lab: Lab, chromium: str) -> None:
    errors: list[str] = []
    with opened(lab, chromium, errors) as page:
        run_all(page)
        page.locator(".jp-OutputArea-output", has_text="42").wait_for()
        pop_ups = page.locator(".Toastify__toast, .jp-Dialog").all_inner_texts()
    assert pop_ups == []
    assert errors == []
