"""The README's first code block runs and prints what it says."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_the_first_code_block_prints_what_its_comments_say() -> None:
    match = re.search(r"```python\n(.*?)```", README.read_text(), re.S)
    assert match is not None
    done = subprocess.run([sys.executable, "-c", match[1]], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["True", "hello worker"]


def test_the_commands_it_names_exist() -> None:
    from kwlab.cli import COMMANDS

    named = set(re.findall(r"^    kwlab (\w+)", README.read_text(), re.M))
    assert named
    assert named <= set(COMMANDS)
