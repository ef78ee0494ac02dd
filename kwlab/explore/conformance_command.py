"""`kwlab conformance`: scenarios on real threads, or under the model, against the answers in their files."""

import json as json_format
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from kwlab.explore.conformance import play_under_the_model
from kwlab.scenario.conformance import Report, conform, recorded
from kwlab.scenario.load import ScenarioError, load
from kwlab.scenario.versions import DIFFERENCES, VERSIONS

__all__ = ["conformance"]


def conformance(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Scenario files; all recorded ones if none is given.", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    model: Annotated[
        bool, typer.Option("--model", help="Under the model instead: every interleaving must give the answers.")
    ] = False,
    versions: Annotated[bool, typer.Option("--versions", help="Show how Linux 6.1, 6.12 and 6.18 differ.")] = False,
) -> None:
    """Play scenarios on real threads and compare with the answers in their files.

    With --model they run under the explorer, in all interleavings that their gates allow, or in as many as the table
    says. Without FILES: every scenario that was recorded on a real Linux kernel. Exit status: 0 if all agree, 1 if one
    disagrees, 2 if a file cannot be read. The format is described in `kwlab/scenario/__init__.py`.
    """
    if versions:
        Console().print(_versions())
        return
    try:
        if model:
            raise typer.Exit(_under_the_model(files or recorded(), json))
        report = conform(files or recorded())
    except ScenarioError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    if json:
        typer.echo(json_format.dumps(report.as_json(), indent=2))
    else:
        _show(report)
    raise typer.Exit(1 if report.disagree else 0)


def _under_the_model(files: list[Path], json: bool) -> int:
    """Play each under the model; the exit status."""
    table = Table("scenario", "answers", "in", "executions")
    results, wrong = [], []
    for scenario in [load(file) for file in files]:
        if scenario.not_applicable:
            table.add_row(scenario.name, "not applicable", scenario.not_applicable, "")
            continue
        verdict = play_under_the_model(scenario)
        answer = "agree" if verdict.ok else "DISAGREE"
        table.add_row(scenario.name, answer, "; ".join([verdict.guarantee, *verdict.notes]), f"{verdict.executions:,}")
        wrong += [] if verdict.ok else [verdict]
        result = {"scenario": scenario.name, "agrees": verdict.ok, "guarantee": verdict.guarantee}
        results.append(
            result | {"executions": verdict.executions, "notes": verdict.notes, "bug": str(verdict.bug or "")}
        )
    if json:
        typer.echo(json_format.dumps(results, indent=2))
    else:
        Console().print(table)
        for verdict in wrong:
            typer.echo(f"\n{verdict.explain()}")
    return 1 if wrong else 0


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
