"""`kwlab ps`: the kthread workers of this machine's kernel."""

import json
import os
import time
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from kwlab.host.kworkers import PROC, Seen, find_workers, process_threads
from kwlab.host.threadfiles import ThreadFiles

__all__ = ["ps"]


def ps(
    pid: Annotated[
        int | None, typer.Option(help="The threads of this process (a program that uses kwlab) instead.")
    ] = None,
    watch: Annotated[
        float | None, typer.Option(min=0.1, help="Show the table again every so many seconds, until Ctrl-C.")
    ] = None,
    stack: Annotated[bool, typer.Option("--stack", help="Show each worker's kernel stack, too (needs root).")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """List the kernel's kthread workers: who they are, where they may run, what they run.

    As root every worker is found, by where it sleeps. Without root those with well-known names are.
    """
    try:
        if watch is None:
            seen = _look(pid)
            print(json.dumps(_as_json(seen)) if as_json else "", end="\n" if as_json else "")
            if not as_json:
                _console().print(_shown(seen, pid, stack))
            return
        if as_json:
            raise typer.BadParameter("--json is for one look: leave out --watch")
        _refresh(pid, watch, stack)
    except ProcessLookupError as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from None


def _look(pid: int | None) -> Seen:
    return find_workers() if pid is None else process_threads(pid)


def _refresh(pid: int | None, seconds: float, stack: bool) -> None:
    before = {row.pid: row.sleeps for row in _look(pid).workers}
    try:
        with Live(console=_console(), auto_refresh=False) as live:
            while True:
                seen = _look(pid)
                woken = {row.pid: row.sleeps - before.get(row.pid, row.sleeps) for row in seen.workers}
                before = {row.pid: row.sleeps for row in seen.workers}
                live.update(_shown(seen, pid, stack, woken), refresh=True)
                time.sleep(seconds)
    except KeyboardInterrupt:
        pass


def _shown(seen: Seen, pid: int | None, stack: bool, woken: dict[int, int] | None = None) -> Group:
    columns = ["pid", "name", "S", "CPUs", "policy", "sleeps", "preempted", "runs", *(["since"] if woken else [])]
    heads = [Column(name, no_wrap=True, min_width=0 if name == "name" else len(name)) for name in columns]
    table = Table(*heads, box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for row in seen.workers:
        cells = [
            str(row.pid),
            row.name,
            row.state[:1],
            ",".join(map(str, row.cpus)) + (" (bound)" if row.bound else ""),
            row.priority,
            str(row.sleeps),
            str(row.preempted),
            row.runs or "idle",
        ]
        table.add_row(*map(Text, cells), *([Text(str(woken[row.pid]))] if woken else []))
    notes = [Text(note) for note in seen.notes]
    return Group(table, *(_stack(row.pid, row.name, pid) for row in seen.workers if stack), *notes)


def _stack(thread: int, name: str, pid: int | None) -> Text:
    folder = PROC / str(thread) if pid is None else PROC / str(pid) / "task" / str(thread)
    try:
        frames = [f"  {frame}" for frame in ThreadFiles(folder).stack]
    except OSError as error:
        frames = [f"  {error}"]
    return Text("\n".join([f"{name} ({thread})", *frames]))


def _as_json(seen: Seen) -> dict[str, object]:
    return {"workers": [row.as_json() for row in seen.workers], "notes": list(seen.notes), "root": os.geteuid() == 0}


def _console() -> Console:
    return Console(highlight=False)
