"""What a grader needs and a learner should find out alone: `hidden.py` in the exercise's folder.

The student edition has it packed, as `hidden.packed`. That keeps it from who looks around, or searches the folder for
a word. It is no secret: whoever wants to unpack it can. Where it must be one, the graders stay with the instructor
(``kwlab release --no-graders``).
"""

import base64
import linecache
import textwrap
import zlib
from pathlib import Path
from types import ModuleType

from kwlab.explore.canonical import declare_constant

__all__ = ["HIDDEN", "PACKED", "hidden", "pack"]

HIDDEN, PACKED = "hidden.py", "hidden.packed"


def pack(text: str) -> str:
    """`text` as nobody reads it by accident."""
    return textwrap.fill(base64.b85encode(zlib.compress(text.encode(), 9)).decode(), 100) + "\n"


def hidden(grader: str) -> ModuleType:
    """The module that is hidden beside the file `grader`, packed or not: the same, line by line.

    Errors: `OSError` if there is none.
    """
    file = Path(grader).with_name(HIDDEN)
    if file.exists():
        text = file.read_text(encoding="utf-8")
    else:
        packed = file.with_name(PACKED).read_text(encoding="ascii")
        text = zlib.decompress(base64.b85decode("".join(packed.split()))).decode()
    module = ModuleType(f"kwlab_hidden_{file.parent.name}")
    module.__file__ = str(file)
    # An interleaving shows lines of it, packed or not.
    linecache.cache[str(file)] = (len(text), None, text.splitlines(keepends=True), str(file))
    declare_constant(module.__name__)
    exec(compile(text, str(file), "exec"), vars(module))
    return module
