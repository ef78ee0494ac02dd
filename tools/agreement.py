"""Do several runs of `kwlab bench --json` agree on who wins?

python -m tools.agreement RUN.json RUN.json ...     ends with 1 if two runs name opposite winners
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["disagreements", "winners"]


def winners(runs: Sequence[Mapping[str, Any]]) -> dict[str, list[str | None]]:
    """Of every comparison, the winner in each of `runs` that has it; None where there was none."""
    found: dict[str, list[str | None]] = {}
    for run in runs:
        for name, result in run["results"].items():
            if "samples" in result:
                found.setdefault(name, []).append(result["winner"])
    return found


def disagreements(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each comparison with opposite winners; that one run sees no difference is no contradiction."""
    named = {name: sorted({one for one in seen if one is not None}) for name, seen in winners(runs).items()}
    return [f"{name}: won by {' and by '.join(who)}" for name, who in named.items() if len(who) > 1]


def main(
    files: Annotated[list[Path], typer.Argument(help="What kwlab bench --json wrote, two files or more.")],
) -> None:
    """Compare the winners of several runs."""
    if len(files) < 2:
        raise typer.BadParameter("one run has nothing to agree with: give two or more")
    runs = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    for name, seen in winners(runs).items():
        typer.echo(f"{name}: {', '.join(one or 'no difference' for one in seen)}")
    found = disagreements(runs)
    for sentence in found:
        typer.echo(sentence, err=True)
    if found:
        raise typer.Exit(1)
    typer.echo(f"{len(runs)} runs, no opposite winners")


if __name__ == "__main__":
    typer.run(main)
