"""What a learner imports is there, and nothing heavy is loaded before it is used."""

import subprocess
import sys

import pytest

import kwlab


@pytest.mark.parametrize("name", kwlab.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(kwlab, name) is not None


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'kwlab' has no attribute 'kthread_boss'"):
        kwlab.kthread_boss  # noqa: B018


def test_importing_kwlab_loads_no_widgets() -> None:
    code = "import sys, kwlab; print('ipywidgets' in sys.modules); kwlab.LiveQueue; print('ipywidgets' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\nTrue\n"
