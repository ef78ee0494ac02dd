"""`kwlab check`: search the interleavings of a scenario in a file."""

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from kwlab.explore.check import check as check_scenario

__all__ = ["check", "scenario_in"]


def check(
    what: Annotated[str, typer.Argument(metavar="FILE.py[:SCENARIO]", help="The file, and which function of it.")],
    bound: Annotated[int | None, typer.Option(help="Only interleavings with at most so many preemptions.")] = None,
    executions: Annotated[int | None, typer.Option(help="At most so many executions.")] = None,
    seconds: Annotated[float | None, typer.Option(help="At most so long.")] = None,
    races: Annotated[bool, typer.Option("--races", help="Look for data races, too.")] = False,
) -> None:
    """Search for an interleaving in which a scenario goes wrong, and show it.

    A scenario is a function without arguments. Exit status: 0 if there is no bug, 1 if there is one, 2 if there is no
    such scenario.
    """
    try:
        scenario = scenario_in(what)
        verdict = check_scenario(scenario, bound=bound, executions=executions, seconds=seconds, races=races)
    except (LookupError, OSError, ValueError) as error:
        typer.echo(str(error.args[0] if isinstance(error, LookupError) else error), err=True)
        raise typer.Exit(2) from None
    typer.echo(str(verdict.explain()))
    raise typer.Exit(0 if verdict.ok else 1)


def scenario_in(what: str) -> Callable[[], object]:
    """The function that ``FILE.py`` or ``FILE.py:NAME`` names. Errors: `LookupError` that says what is there."""
    file, colon, name = what.rpartition(":")
    if not colon or name.endswith(".py"):
        file, name = what, ""
    path = Path(file)
    if not path.is_file():
        raise LookupError(f"no file {file!r}: the argument is FILE.py or FILE.py:SCENARIO")
    module_name = f"kwlab_checked_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise LookupError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.path[0]
    there = {
        key: value
        for key, value in vars(module).items()
        if inspect.isfunction(value)
        and value.__module__ == module_name
        and not key.startswith("_")
        and not inspect.signature(value).parameters
    }
    if name in there:
        return there[name]
    if not name and len(there) == 1:
        return next(iter(there.values()))
    wrong = f"no scenario {name!r} in {file}" if name else f"{file} has {len(there)} scenarios, say which"
    raise LookupError(f"{wrong}: functions without arguments there are {', '.join(there) or 'none'}")
