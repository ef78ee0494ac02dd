"""`kwlab trace`: record the running kernel, and show what a trace says of its workers."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, TypeVar

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, FileSizeColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from kwlab.host.livelab import capture_live
from kwlab.host.tracefs import EVENTS, KTHREAD_WORK_EVENTS, TracefsError, trace_instance
from kwlab.report.html import html_report
from kwlab.report.tables import (
    BRIEF_FUNCTION,
    BRIEF_WORKER,
    FUNCTION_HEADS,
    WORKER_HEADS,
    function_rows,
    notes,
    slow_rows,
    worker_rows,
)
from kwlab.trace.analysis import Analysis, analyse
from kwlab.trace.chrome import write_chrome_json
from kwlab.trace.perfetto import write_perfetto
from kwlab.trace.reader import Counts, TraceError, TraceReader

__all__ = ["trace_app"]

Answer = TypeVar("Answer")
trace_app = typer.Typer(no_args_is_help=True)
SLOW = 3  # of those that waited longest; the report in HTML has ten
BIG = 4_000_000  # bytes: a file from which on progress is shown

Output = Annotated[Path, typer.Option("--output", "-o", help="Where the trace goes, as ftrace's text.")]
Scheduler = Annotated[bool, typer.Option(help="Record wake-ups and switches of all tasks, too.")]


@trace_app.command()
def show(
    file: Annotated[Path, typer.Argument(help="ftrace's text (plain or gzipped) or a trace.dat.")],
    html: Annotated[Path | None, typer.Option(help="Write a report with pictures to this file.")] = None,
    perfetto: Annotated[Path | None, typer.Option(help="Write the trace in Perfetto's format to this file.")] = None,
    chrome: Annotated[Path | None, typer.Option(help="Write the trace as Chrome's JSON to this file.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="A line that cannot be read is an error.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """What each worker in a trace did: delays, run times, depth of the queue, who queued, who waited for whom."""
    try:
        analysis, counts = _read(file, strict)
        if perfetto:
            with perfetto.open("wb") as binary:
                write_perfetto(TraceReader(file), binary)
        if chrome:
            with chrome.open("w", encoding="utf-8") as text:
                write_chrome_json(TraceReader(file), text)
        if html:
            html.write_text(html_report(analysis, counts, file.name), encoding="utf-8")
    except (TraceError, OSError) as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    if as_json:
        print(json.dumps({**analysis.as_json(), "counts": vars(counts)}))
    else:
        _show(analysis, counts)


@trace_app.command()
def record(
    command: Annotated[list[str], typer.Argument(help="The command, after --.")],
    output: Output = Path("kwlab.trace"),
    sched: Scheduler = False,
    buffer_kb: Annotated[int, typer.Option(min=4, help="Buffer for each CPU, in kB.")] = 8192,
) -> None:
    """Record what the kernel's workers do while a command runs: kwlab trace record -- CMD (needs root).

    The command's exit status is ours. The trace instance is removed, whatever happens.
    """

    def recorded() -> tuple[str, int]:
        with trace_instance(dict.fromkeys(EVENTS if sched else KTHREAD_WORK_EVENTS, ""), buffer_kb) as instance:
            status = _run(command)
            instance.stop()
            if lost := instance.lost():
                typer.echo(f"the buffers were too small: {lost} events were lost (see --buffer-kb)", err=True)
            return instance.text(), status

    text, status = _as_root(recorded)
    _keep(text, output)
    raise typer.Exit(status)


@trace_app.command()
def live(
    works: Annotated[int, typer.Option(min=1, help="How many works the kernel is made to queue.")] = 20,
    output: Output = Path("kwlab.trace"),
    sched: Scheduler = True,
) -> None:
    """Make this machine's kernel queue real works (expedited RCU grace periods), and record them (needs root)."""
    text = _as_root(lambda: capture_live(works, sched))
    _keep(text, output)


def _as_root(what: Callable[[], Answer]) -> Answer:
    """`what`, undone in an orderly way if we are terminated, and a line instead of a traceback if it cannot be had."""

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        return what()
    except TracefsError as error:
        typer.echo(error.args[-1], err=True)
        raise typer.Exit(1) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(command: Sequence[str]) -> int:
    try:
        return subprocess.run(command).returncode
    except OSError as error:
        typer.echo(f"{command[0]}: {error.strerror}", err=True)
        return 127
    except KeyboardInterrupt:
        return 130


def _keep(text: str, output: Path) -> None:
    output.write_text(text, encoding="utf-8")
    reader = TraceReader(text.splitlines(keepends=True))
    _show(analyse(reader), reader.counts)
    typer.echo(f"kept in {output}: kwlab trace show {output} --html report.html")


def _read(file: Path, strict: bool) -> tuple[Analysis, Counts]:
    size = os.stat(file).st_size
    columns = (TextColumn("reading"), BarColumn(), FileSizeColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=size < BIG, transient=True) as progress:
        task = progress.add_task("", total=size)
        reader = TraceReader(file, strict, lambda done, _: progress.update(task, completed=done))
        return analyse(reader), reader.counts


def _show(analysis: Analysis, counts: Counts) -> None:
    console = Console(highlight=False)
    console.print(Text(str(counts)))
    for heads, rows, brief in (
        (WORKER_HEADS, worker_rows(analysis), BRIEF_WORKER),
        (FUNCTION_HEADS, function_rows(analysis), BRIEF_FUNCTION),
    ):
        columns = [Column(heads[place], no_wrap=True, min_width=len(heads[place])) for place in brief]
        table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        for row in rows:
            table.add_row(*(Text(row[place]) for place in brief))
        if table.row_count:
            console.print(table)
    for delay, function, worker, by, where, behind in list(slow_rows(analysis))[:SLOW]:
        console.print(Text(f"{delay} waited {function} on {worker}, queued by {by} in {where}; behind {behind}"))
    for note in notes(analysis):
        console.print(Text(note))
