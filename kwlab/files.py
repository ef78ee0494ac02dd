"""Files that are there whole, or not at all."""

import os
from pathlib import Path

__all__ = ["put"]


def put(file: Path, text: str) -> None:
    """Make `text` the content of `file`, and its folder if need be; a reader finds the old file or the new one, whole.

    Errors: `OSError`; then `file` is as it was, and nothing is left beside it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with open(unfinished, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
