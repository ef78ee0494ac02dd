"""Which line a task is at: the innermost one of the learner's or the worker's code, and the text of its function."""

import linecache
from collections.abc import Mapping
from types import CodeType, FrameType, TracebackType

from kwlab.explore.trace_format import Place, Source

__all__ = ["Places", "file_name", "innermost", "is_plumbing"]

# Between the code that a reader looks at and the runtime stand thin wrappers: the caller's line says more than theirs.
_PLUMBING = (
    "/kwlab/runtime/",
    "/kwlab/explore/",
    "/kwlab/grade/",
    "/kwlab/sched.py",
    "/kwlab/struct.py",
    "/kwlab/listhead.py",
    "/threading.py",
)
_PLUMBING_FUNCTIONS = ("kthread_should_stop", "kthread_should_park")
_plumbing: dict[CodeType, bool] = {}


def is_plumbing(code: CodeType) -> bool:
    """True if lines of `code` tell a reader nothing."""
    known = _plumbing.get(code)
    if known is None:
        file = code.co_filename.replace("\\", "/")
        known = _plumbing[code] = any(part in file for part in _PLUMBING) or (
            code.co_name in _PLUMBING_FUNCTIONS and file.endswith("/kwlab/kthread.py")
        )
    return known


def innermost(start: FrameType | TracebackType | None) -> tuple[CodeType, int] | None:
    """The innermost code, and its line, outside the plumbing: of a suspended frame, or of where an exception came from.

    None if there is none.
    """
    found = None
    if isinstance(start, TracebackType):
        traceback: TracebackType | None = start
        while traceback is not None:
            if not is_plumbing(traceback.tb_frame.f_code):
                found = traceback.tb_frame.f_code, traceback.tb_lineno
            traceback = traceback.tb_next
        return found
    frame = start
    while frame is not None:
        if not is_plumbing(frame.f_code):
            return frame.f_code, frame.f_lineno
        frame = frame.f_back
    return None


def file_name(path: str) -> str:
    """A file as a reader sees it: without a path, "cell" for a cell of a notebook, "part 2" for one that is graded."""
    path = path.replace("\\", "/")
    if path.startswith("<part "):
        return path.strip("<>")
    return "cell" if "/ipykernel_" in path or path.startswith("<") else path.rsplit("/", 1)[-1]


class Places:
    """Makes `Place`s, and keeps the source of every function met. Equal names get a number, in order of appearance."""

    def __init__(self) -> None:
        self._places: dict[tuple[CodeType, int], Place] = {}
        self._codes: dict[CodeType, tuple[str, str]] = {}
        self._files: dict[str, str] = {}
        self._sources: dict[str, dict[str, Source]] = {}

    @property
    def sources(self) -> Mapping[str, Mapping[str, Source]]:
        """By file and function."""
        return self._sources

    def of(self, start: FrameType | TracebackType | None) -> Place | None:
        """The innermost place of a suspended frame or of an exception's traceback."""
        found = innermost(start)
        if found is None:
            return None
        place = self._places.get(found)
        if place is None:
            code, line = found
            file, function = self._codes.get(code) or self._add(code)
            text = linecache.getline(code.co_filename, line).strip()
            place = self._places[found] = Place(file, function, line, text)
        return place

    def _add(self, code: CodeType) -> tuple[str, str]:
        path = code.co_filename
        if path not in self._files:
            self._files[path] = _numbered(file_name(path), self._files.values())
        file = self._files[path]
        functions = self._sources.setdefault(file, {})
        function = _numbered(code.co_name, functions)
        first = code.co_firstlineno
        lines = linecache.getlines(path)[first - 1 : _last_line(code)]
        functions[function] = Source(first, tuple(line.rstrip("\n") for line in lines))
        self._codes[code] = file, function
        return file, function


def _last_line(code: CodeType) -> int:
    inner = [_last_line(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return max([code.co_firstlineno, *inner, *(line for _, _, line in code.co_lines() if line is not None)])


def _numbered(name: str, taken: object) -> str:
    numbered, number = name, 1
    while numbered in taken:  # type: ignore[operator]
        number += 1
        numbered = f"{name} ({number})"
    return numbered
