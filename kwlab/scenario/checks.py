"""Small checks that everything read from a scenario file goes through, and the error they raise."""

from collections.abc import Iterable
from typing import Any

__all__ = ["Checks", "ScenarioError"]


class ScenarioError(ValueError):
    """A scenario file that cannot be read: says which file, where in it, what is wrong, and what is allowed."""


class Checks:
    """Checks of data from `file`. Each raises `ScenarioError` with the place, what is wrong, and what is allowed."""

    def __init__(self, file: str) -> None:
        self.file = file

    def fail(self, where: str, wrong: str, allowed: str = "") -> ScenarioError:
        """The error to raise; a value that is quoted in `wrong` is kept short."""
        return ScenarioError(f"{self.file}: {where}: {_short(wrong)}" + (f"; {allowed}" if allowed else ""))

    def mapping(self, where: str, given: Any, allowed: Iterable[str]) -> dict[str, Any]:
        allowed = sorted(allowed)
        if not isinstance(given, dict):
            raise self.fail(where, f"is {given!r}", f"a mapping is needed, with: {', '.join(allowed)}")
        for key in given:
            if key not in allowed:
                raise self.fail(where, f"unknown key {key!r}", f"allowed: {', '.join(allowed)}")
        return given

    def named(self, where: str, given: Any) -> dict[str, Any]:
        if not isinstance(given, dict):
            raise self.fail(where, f"is {given!r}", "a mapping from names is needed")
        return {str(name): value for name, value in given.items()}

    def items(self, where: str, given: Any) -> list[Any]:
        if not isinstance(given, list):
            raise self.fail(where, f"is {given!r}", "a list is needed")
        return given

    def text(self, where: str, given: Any) -> str:
        if not isinstance(given, str):
            raise self.fail(where, f"is {given!r}", "text is needed")
        return given

    def number(self, where: str, given: Any, low: int) -> None:
        if type(given) is not int or given < low:
            raise self.fail(where, f"is {given!r}", f"a whole number from {low} is needed")

    def known(self, where: str, name: Any, names: Iterable[str], kind: str) -> str:
        if name not in names:
            raise self.fail(where, f"unknown name {name!r}", f"{kind}: {', '.join(sorted(names)) or 'none'}")
        return str(name)


def _short(text: str) -> str:
    return text if len(text) <= 160 else f"{text[:150]} ... {text[-1]}"
