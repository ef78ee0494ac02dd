"""`kwlab bench`: run the experiments and say what they show."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from kwlab.bench.experiments import EXPERIMENTS, FULL, OF_TOOLS, OF_WORKERS, QUICK
from kwlab.bench.machine import machine
from kwlab.bench.results import Result

__all__ = ["bench"]

WORKERS = f"Which: {', '.join(OF_WORKERS)}; all of them if none"
TOOLS = ", ".join(OF_TOOLS)


def bench(
    names: Annotated[
        list[str] | None, typer.Argument(help=f"{WORKERS}; of our own tools, if asked for: {TOOLS}.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Smaller sizes: about 20 seconds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Measure the worker beside thread pools, an event loop and C, in paired rounds of one run."""
    unknown = [name for name in names or () if name not in EXPERIMENTS]
    if unknown:
        raise typer.BadParameter(f"no experiment {unknown[0]!r}: there are {', '.join(EXPERIMENTS)}")
    described = machine()  # before: the load that others make, not ours
    results: list[tuple[str, Result]] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("measuring", total=len(names or OF_WORKERS))
        for name in names or OF_WORKERS:
            progress.update(bar, description=f"measuring {name}")
            results += [(name, one) for one in EXPERIMENTS[name](QUICK if quick else FULL)]
            progress.advance(bar)
    if as_json:
        told = {one.name: {"experiment": name, **one.as_json()} for name, one in results}
        print(json.dumps({"machine": described, "quick": quick, "results": told}))
    else:
        _show(described, [one for _, one in results])


def _show(described: dict[str, Any], results: list[Result]) -> None:
    console = Console(highlight=False)
    console.print(", ".join(f"{key} {value}" for key, value in described.items()), style="dim")
    for one in results:
        more = one.as_json()
        promise = (
            "" if more["met"] is None else f" Promised: {more['target']}; {'kept' if more['met'] else 'not kept'}."
        )
        console.print(f"[bold]{one.name}[/bold]  {one.sentence()}{promise}")
