"""The command `kwlab`: a list of sub-commands, each at home in a package of its own.

Only the sub-command that is asked for is imported, so that `kwlab --help` is quick and a sub-command may need
libraries that the others do not. To add one: a function (or a `typer.Typer` with sub-commands of its own) in
`kwlab/<package>/command.py`, and a line in `COMMANDS`.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import typer

__all__ = ["COMMANDS", "main"]

# name: (module, function or Typer in it, one line for `kwlab --help`)
COMMANDS: dict[str, tuple[str, str, str]] = {
    "bench": ("kwlab.bench.command", "bench", "Measure the worker against ThreadPoolExecutor, and the explorer."),
    "trace": ("kwlab.report.command", "trace_app", "Record a kernel's workers, and show what a trace says."),
    "oracle": ("kwlab.oracle.command", "oracle_app", "Ask a real kernel, under QEMU, what it does in a scenario."),
    "ps": ("kwlab.host.command", "ps", "List the kthread workers of this machine's kernel."),
    "check": ("kwlab.explore.command", "check", "Search the interleavings of a scenario in a file."),
    "museum": ("kwlab.museum.command", "museum", "Bugs of the past and traps of today, each with its interleaving."),
    "conformance": (
        "kwlab.explore.conformance_command",
        "conformance",
        "Play scenarios and compare with what a kernel answered.",
    ),
    "grade": ("kwlab.grade.command", "grade", "Grade an exercise as check() does, or a class's folder."),
    "doctor": ("kwlab.course.command", "doctor", "What works on this machine, and what each missing thing costs."),
    "progress": ("kwlab.course.command", "progress", "How far you are: your predictions and your exercises."),
    "status": ("kwlab.course.command", "progress", "Another name of progress."),
    "hint": ("kwlab.grade.command", "hint", "The next of three hints for an exercise."),
    "reset": ("kwlab.grade.command", "reset", "Start an exercise, or a notebook, anew."),
    "solution": ("kwlab.grade.command", "solution", "The solution of an exercise that you have passed."),
    "release": ("kwlab.grade.command", "release", "For instructors: write the student edition."),
    "exercise": ("kwlab.grade.command", "exercise_app", "For authors: check exercises, and make their notebooks."),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with `arguments` (those of the process, if None are given); exits."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    wanted = next((argument for argument in arguments if not argument.startswith("-")), None)
    build(wanted)(args=arguments, prog_name="kwlab")


def build(wanted: str | None) -> typer.Typer:
    """The whole command line, in which only the sub-command `wanted` is more than its line of help."""
    app = typer.Typer(
        help="kwlab: the Linux kernel's kthread_worker, to run, to take apart, and to break safely.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_nothing)
    for name, (module, attribute, summary) in COMMANDS.items():
        command: Any = getattr(import_module(module), attribute) if name == wanted else _nothing
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, help=summary)
        else:
            app.command(name, help=None if name == wanted else summary)(command)
    return app


def _nothing() -> None:
    pass


if __name__ == "__main__":
    main()
