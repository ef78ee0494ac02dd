"""A bare print in a work: in a notebook it is an oops that explains itself, elsewhere it is a print."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.threads

WORK = """
import warnings
from kwlab import *
warnings.simplefilter("always")

def speak():
    pr_info("before")
    print("from the work"{where})
    pr_info("after")

with Worker("demo") as demo:
    demo.queue(speak)
print("from the notebook")
dmesg()
"""
CELL = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("import kwlab")
shell.run_cell({cell!r})
"""


def output(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout + done.stderr


def test_in_a_notebook_it_is_an_oops_that_names_the_way_out() -> None:
    said = output(CELL.format(cell=WORK.format(where="")))
    assert "from the work" not in said
    assert "from the notebook\nbefore\n" in said
    assert "after\n" not in said
    assert "KernelWarning: work speak on worker demo: RuntimeError: print() in a work" in said
    assert "use pr_info() in the work, dmesg() in the notebook" in said


def test_in_a_notebook_a_print_into_a_file_of_ones_own_is_left_alone() -> None:
    said = output(CELL.format(cell=WORK.format(where=", file=__import__('io').StringIO()")))
    assert "before\nafter\n" in said


def test_in_a_program_it_is_a_print() -> None:
    said = output(WORK.format(where=""))
    assert "from the work\nfrom the notebook\nbefore\nafter\n" in said
