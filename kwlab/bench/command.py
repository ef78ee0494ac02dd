"""`kwlab bench`: run the experiments and say what they show."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from kwlab.bench.experiments import EXPERIMENTS, FULL, QUICK
from kwlab.bench.machine import machine
from kwlab.bench.results import Result

__all__ = ["bench"]


def bench(
    names: Annotated[list[str] | None, typer.Argument(help=f"Which: {', '.join(EXPERIMENTS)}. All if none.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Smaller sizes: under 20 seconds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Measure the worker beside ThreadPoolExecutor, and the explorer, in paired rounds of one run."""
    unknown = [name for name in names or () if name not in EXPERIMENTS]
    if unknown:
        raise typer.BadParameter(f"no experiment {unknown[0]!r}: there are {', '.join(EXPERIMENTS)}")
    described = machine()  # before: the load that others make, not ours
    results: list[Result] = []
    with Progress(console=Console(stderr=True), disable=as_json, transient=True) as progress:
        for name in progress.track(names or list(EXPERIMENTS), description="measuring"):
            results += EXPERIMENTS[name](QUICK if quick else FULL)
    if as_json:
        print(
            json.dumps({"machine": described, "quick": quick, "results": {one.name: one.as_json() for one in results}})
        )
    else:
        _show(described, results)


def _show(described: dict[str, Any], results: list[Result]) -> None:
    console = Console(highlight=False)
    console.print(", ".join(f"{key} {value}" for key, value in described.items()), style="dim")
    for one in results:
        more = one.as_json()
        promise = (
            "" if more["met"] is None else f" Promised: {more['target']}; {'kept' if more['met'] else 'not kept'}."
        )
        console.print(f"[bold]{one.name}[/bold]  {one.sentence()}{promise}")
