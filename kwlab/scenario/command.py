"""`kwlab conformance`: scenarios on real threads against the answers in their files."""

import json as json_format
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from kwlab.scenario.conformance import Report, conform, recorded
from kwlab.scenario.load import ScenarioError
from kwlab.scenario.versions import DIFFERENCES, VERSIONS

__all__ = ["conformance"]


def conformance(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Scenario files; all recorded ones if none is given.", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    versions: Annotated[bool, typer.Option("--versions", help="Show how Linux 6.1, 6.12 and 6.18 differ.")] = False,
) -> None:
    """Play scenarios on real threads and compare with the answers in their files.

    Without FILES: every scenario that was recorded on a real Linux kernel. Exit status: 0 if all agree, 1 if one
    disagrees, 2 if a file cannot be read. The format is described in `kwlab/scenario/__init__.py`.
    """
    if versions:
        Console().print(_versions())
        return
    try:
        report = conform(files or recorded())
    except ScenarioError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    if json:
        typer.echo(json_format.dumps(report.as_json(), indent=2))
    else:
        _show(report)
    raise typer.Exit(1 if report.disagree else 0)


def _show(report: Report) -> None:
    console = Console()
    table = Table("scenario", "answer", "why")
    for name in report.agree:
        table.add_row(name, "agrees", "")
    for name, differences in report.disagree.items():
        table.add_row(name, "DISAGREES", f"{len(differences)} differences, below")
    for name, reason in report.not_applicable.items():
        table.add_row(name, "not applicable", reason)
    console.print(table)
    for name, differences in report.disagree.items():
        console.print(f"\n{name}", style="bold")
        for difference in differences:
            console.print(f"  {difference}", markup=False, highlight=False)
    counts = (len(report.agree), len(report.disagree), len(report.not_applicable))
    console.print("\n{} agree, {} disagree, {} not applicable".format(*counts))


def _versions() -> Table:
    heads = ("what", "since", *VERSIONS, "shown by")
    table = Table(*(Column(head, overflow="fold") for head in heads), show_lines=True)
    for difference in DIFFERENCES:
        table.add_row(difference.what, difference.since, *difference.says, ", ".join(difference.shown_by))
    return table
