"""The learner's predictions, kept in the folder that the notebook runs in.

One JSON object: for each question every answer that was committed, what the code then said, and whether they agree.
"""

import json
from pathlib import Path
from typing import Any

from kwlab.files import put

__all__ = ["FILE", "keep_answer", "kept_answers"]

FILE = "predictions.json"


def kept_answers(folder: Path | None = None) -> dict[str, list[dict[str, Any]]]:
    """Every answer so far, by question. Errors: `ValueError` if the file is not what `keep_answer` writes."""
    path = (folder or Path()) / FILE
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{FILE} is damaged ({error}): mend it, or move it away to begin a new one") from None
    if not isinstance(kept, dict) or not all(_are_answers(tries) for tries in kept.values()):
        raise ValueError(f"{FILE} holds no predictions: move it away to begin a new one")
    return kept


def _are_answers(tries: Any) -> bool:
    return isinstance(tries, list) and all(isinstance(one, dict) and "right" in one for one in tries)


def keep_answer(question: str, answer: Any, outcome: Any, folder: Path | None = None) -> None:
    """Add one answer. The file is replaced whole, or not at all."""
    kept = kept_answers(folder)
    kept.setdefault(question, []).append({"answer": answer, "outcome": outcome, "right": answer == outcome})
    put((folder or Path()) / FILE, json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
