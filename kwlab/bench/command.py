"""`kwlab bench`: run the experiments and say what they show."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from kwlab.bench.figures import machine
from kwlab.bench.foundation import EXPERIMENTS, Size

__all__ = ["bench"]

QUICK = Size(rounds=9, works=10_000, wakes=60, queued=5_000, workers=200, many=100_000)


def bench(
    names: Annotated[list[str] | None, typer.Argument(help=f"Which: {', '.join(EXPERIMENTS)}. All if none.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Smaller sizes: under 20 seconds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Measure the worker beside ThreadPoolExecutor, in paired rounds of one run."""
    unknown = [name for name in names or () if name not in EXPERIMENTS]
    if unknown:
        raise typer.BadParameter(f"no experiment {unknown[0]!r}: there are {', '.join(EXPERIMENTS)}")
    wanted = names or list(EXPERIMENTS)
    figures = []
    with Progress(console=Console(stderr=True), disable=as_json, transient=True) as progress:
        for name in progress.track(wanted, description="measuring"):
            figures.append(EXPERIMENTS[name](QUICK if quick else Size()))
    if as_json:
        print(json.dumps({"machine": machine(), "figures": {figure.name: figure.as_json() for figure in figures}}))
        return
    console = Console()
    for figure in figures:
        console.print(f"[bold]{figure.name}[/]  {figure.sentence()}")
        for key, value in figure.details.items():
            console.print(f"    {key} {value:.4g}" if isinstance(value, float) else f"    {key} {value}")
