"""`kwlab museum`: the exhibits, and what the explorer says of each."""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from kwlab.explore import Verdict, check
from kwlab.museum import EXHIBITS, TEXTS, Exhibit, exhibit

__all__ = ["museum"]

BUDGET = 1_000  # executions for the right way


def museum(
    name: Annotated[str | None, typer.Argument(help="An exhibit, as B7 or T1; all are listed without.")] = None,
) -> None:
    """The bugs that kthread_worker had, and the traps that it still has, each with the interleaving that shows it.

    Exit status: 0 if the explorer finds the bug and passes the fix, 1 if not, 2 if there is no such exhibit.
    """
    if name is None:
        _list()
        return
    if name in TEXTS:
        typer.echo(f"{name}: {TEXTS[name]}")
        return
    try:
        shown = exhibit(name)
    except KeyError as error:
        typer.echo(error.args[0], err=True)
        raise typer.Exit(2) from None
    raise typer.Exit(0 if _show(shown) else 1)


def _list() -> None:
    table = Table("exhibit", "what went wrong", "the explorer calls it")
    for shown in EXHIBITS:
        table.add_row(shown.name, shown.title, shown.kind)
    for name, text in TEXTS.items():
        table.add_row(name, text, "(told only)")
    console = Console()
    console.print(table)
    console.print("kwlab museum NAME shows one, with the interleaving.", highlight=False)


def _show(shown: Exhibit) -> bool:
    options: Any = shown.options
    wrong = check(shown.wrong, **options)
    right: Verdict = check(shown.right, executions=BUDGET)
    typer.echo(f"{shown.name}: {shown.title}\n\n{shown.story}\n")
    for edit in shown.edits:
        typer.echo(_difference(edit.then, edit.now))
    typer.echo(f"{wrong.explain()}\n\nThe fix: {shown.fix}\n\nWith it: {right}")
    return right.ok and wrong.bug is not None and wrong.bug.kind == shown.kind


def _difference(wrong: str, right: str) -> str:
    """The lines of the wrong worker (-) and of today's (+)."""
    old, new = wrong.rstrip("\n").split("\n"), right.rstrip("\n").split("\n")
    lines = [f"  - {line}" for line in old if line not in new] + [f"  + {line}" for line in new if line not in old]
    return "\n".join(lines) + "\n"
