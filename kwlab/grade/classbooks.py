"""What a class gets from its marks: the gradebook as CSV, a page of feedback for each learner, and a report."""

import csv
import html
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from kwlab.grade.gradebook import Graded
from kwlab.grade.mark import Score

__all__ = ["COLUMNS", "class_report", "write_csv", "write_feedback"]

# As nbgrader's own export has them, and one more.
COLUMNS = (
    "assignment duedate timestamp student_id last_name first_name email raw_score late_submission_penalty score "
    "max_score attempts"
).split()


def write_csv(graded: Iterable[Graded], file: Path) -> None:
    """One row for each learner and exercise; who handed nothing in has 0 points."""
    unfinished = file.with_name(file.name + ".tmp")
    with open(unfinished, "w", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow(COLUMNS)
        for one in graded:
            maximum = sum(part.points for part in one.submission.exercise.parts)
            attempts = "" if one.attempts is None else one.attempts
            about = (one.submission.exercise.id, "", one.handed_in, _plain(one.submission.learner), "", "", "")
            table.writerow([*about, one.points, 0, one.points, maximum, attempts])
    unfinished.replace(file)


def _plain(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text


def write_feedback(graded: Iterable[Graded], folder: Path) -> list[Path]:
    """A page for each learner, with nothing in it of anybody else."""
    folder.mkdir(parents=True, exist_ok=True)
    by_learner: dict[str, list[Graded]] = {}
    for one in graded:
        by_learner.setdefault(one.submission.learner, []).append(one)
    files = []
    for learner, theirs in by_learner.items():
        pieces = [_section(one) for one in theirs]
        total, maximum = sum(one.points for one in theirs), sum(_maximum(one) for one in theirs)
        page = _page(f"Feedback for {learner}", f"<p>{total} of {maximum} points</p>" + "".join(pieces))
        file = folder / f"{learner}.html"
        file.write_text(page, encoding="utf-8")
        files.append(file)
    return files


def _maximum(one: Graded) -> int:
    return sum(part.points for part in one.submission.exercise.parts)


def _section(one: Graded) -> str:
    exercise = one.submission.exercise
    shown = one.mark._repr_html_() if one.mark else f"<p>0 points: {html.escape(one.trouble)}</p>"
    return f"<h2>{html.escape(exercise.title)}</h2>{shown}"


def _page(title: str, body: str) -> str:
    style = ":root{color-scheme:light dark}body{font-family:sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{style}td,th{{padding:.2em .6em}}</style>'
    return (
        f'<!DOCTYPE html><html lang="en"><head>{head}</head><body><h1>{html.escape(title)}</h1>{body}</body></html>\n'
    )


def class_report(graded: list[Graded]) -> str:
    """Markdown: how the class did, which property failed most often, and what came most often where it did."""
    lines = ["# Class report", ""]
    for exercise in dict.fromkeys(one.submission.exercise.id for one in graded):
        theirs = [one for one in graded if one.submission.exercise.id == exercise]
        marks = [one.mark for one in theirs if one.mark is not None]
        points = sorted(one.points for one in theirs)
        full = sum(mark.solved for mark in marks)
        lines += [
            f"## {exercise}",
            "",
            f"{len(theirs)} learners, {len(marks)} graded, {full} with full marks; "
            f"median {points[len(points) // 2]} of {_maximum(theirs[0])} points.",
            "",
        ]
        lines += _missed([score for mark in marks for score in mark.scores], len(marks))
        for one in theirs:
            if one.mark is None:
                lines.append(f"- {one.submission.learner}: {' '.join(one.trouble.split())[:200]}")
        lines.append("")
    return "\n".join(lines)


def _missed(scores: list[Score], learners: int) -> list[str]:
    """A table of the tests that some did not pass: those that failed most often first."""
    rows = []
    for name in dict.fromkeys(score.name for score in scores):
        failed = [score for score in scores if score.name == name and score.outcome == "failed"]
        other = [score for score in scores if score.name == name and score.outcome in ("todo", "not run")]
        if failed or other:
            came = Counter(score.came or score.message for score in failed).most_common(1)
            common = " ".join(came[0][0].split())[:200].replace("|", "\\|") if came else ""
            rows.append((len(failed), len(other), (failed + other)[0].sentence, common))
    if not rows:
        return []
    rows.sort(key=lambda row: row[:2], reverse=True)
    head = ["| failed | not written, or not run | of | property | what came most often |", "|--:|--:|--:|---|---|"]
    return head + [f"| {failed} | {other} | {learners} | {text} | {common} |" for failed, other, text, common in rows]
