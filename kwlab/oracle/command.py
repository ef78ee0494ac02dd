"""`kwlab oracle`: ask a real kernel, under QEMU, what it does in a scenario."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from kwlab.oracle.packages import DEFAULT_KERNEL, KernelTree, OracleError
from kwlab.oracle.play import Answer, ask_kernel
from kwlab.oracle.recording import write_recording
from kwlab.scenario.conformance import further, recorded
from kwlab.scenario.load import ScenarioError

__all__ = ["oracle_app"]

oracle_app = typer.Typer(no_args_is_help=True)
Kernel = Annotated[str, typer.Option(help="Debian package of the kernel, such as linux-image-6.1.0-56-amd64.")]
Files = Annotated[
    list[Path] | None, typer.Argument(help="Scenario files; all that come with kwlab if none.", show_default=False)
]


@oracle_app.command()
def run(
    files: Files = None,
    kernel: Kernel = DEFAULT_KERNEL,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Play scenarios on a real kernel, and compare with their files and with kwlab.

    Fetches the kernel and its headers by package name (once), builds the module, boots under QEMU. Exit status: 0 if
    all agree but for the differences that the table of versions knows, 1 if not, 2 if it cannot be done.
    """
    tree, answers, seconds = _ask(files, kernel)
    if as_json:
        done = {"kernel": tree.version, "seconds": seconds, "scenarios": [answer.as_json() for answer in answers]}
        print(json.dumps(done, indent=2))
    else:
        _show(tree, answers, seconds)
    raise typer.Exit(1 if any(_is_news(answer) for answer in answers) else 0)


@oracle_app.command()
def record(
    folder: Annotated[Path, typer.Argument(help="Where the recording goes; made if it is not there.")],
    files: Files = None,
    kernel: Kernel = DEFAULT_KERNEL,
) -> None:
    """Play scenarios on a real kernel, and keep what it answered: observations, traces, /proc of the workers."""
    tree, answers, seconds = _ask(files, kernel)
    kept = write_recording(folder, tree, answers)
    _show(tree, answers, seconds)
    typer.echo(f"kept in {folder}: {kept} scenarios")


def _ask(files: list[Path] | None, kernel: str) -> tuple[KernelTree, list[Answer], float]:
    begin = time.monotonic()
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    try:
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("")
            tree, answers = ask_kernel(
                files or [*recorded(), *further()], kernel, lambda said: progress.update(task, description=said)
            )
    except (ScenarioError, OracleError) as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    return tree, answers, time.monotonic() - begin


def _is_news(answer: Answer) -> bool:
    differs = answer.differences and not answer.expected_difference
    return bool(differs or answer.kwlab_differences)


def _show(tree: KernelTree, answers: list[Answer], seconds: float) -> None:
    console = Console(highlight=False)
    table = Table("scenario", "kernel", "kwlab", box=SIMPLE_HEAD, pad_edge=False)
    for answer in answers:
        if answer.played is None:
            table.add_row(answer.scenario.name, "not played", "")
            continue
        known = " (known)" if answer.expected_difference else ""
        kernel = f"differs{known}" if answer.differences else "agrees"
        table.add_row(answer.scenario.name, kernel, "differs" if answer.kwlab_differences else "agrees")
    console.print(table)
    for answer in answers:
        for who, found in (("the kernel", answer.differences), ("kwlab", answer.kwlab_differences)):
            for line in found:
                console.print(Text(f"{answer.scenario.name}: {who}: {line}"))
        if answer.expected_difference:
            console.print(Text(f"{answer.scenario.name}: known: {answer.expected_difference}"))
        if answer.not_played:
            console.print(Text(f"{answer.scenario.name}: {answer.not_played}"), style="dim")
    played = [answer for answer in answers if answer.played]
    agree = sum(answer.agrees for answer in played)
    news = sum(_is_news(answer) for answer in played)
    console.print(
        Text(
            f"Linux {tree.version}: {len(played)} scenarios played in {seconds:.0f} s, {agree} agree, "
            f"{len(played) - agree - news} differ as the table of versions says, {news} disagree"
        )
    )
