"""``kwlab doctor`` and ``kwlab progress``."""

import json
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kwlab.course.doctor import examine
from kwlab.grade.exercise import ExerciseError

__all__ = ["doctor", "progress"]


def doctor(as_json: Annotated[bool, typer.Option("--json", help="The findings as JSON.")] = False) -> None:
    """What works on this machine, and what each missing thing costs. Ends with 1 if the course cannot run."""
    findings = examine()
    if as_json:
        table = [
            {"name": one.check.name, "works": one.works, "detail": one.detail, "price": one.check.price}
            for one in findings
        ]
        typer.echo(json.dumps(table, indent=1))
    else:
        shown = Table("", "what", "found", "without it", box=SIMPLE_HEAD)
        for one in findings:
            price = "" if one.works else one.check.price
            shown.add_row("ok" if one.works else "--", one.check.name, Text(one.detail), Text(price))
        Console().print(shown)
    raise typer.Exit(1 if any(one.check.required and not one.works for one in findings) else 0)


def progress() -> None:
    """Your predictions and your exercises so far."""
    from kwlab.course.progress import course_progress

    try:
        typer.echo(repr(course_progress()))
    except (ExerciseError, ValueError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
