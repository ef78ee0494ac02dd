"""The floor of the machine: a worker in C (condvar.c), compiled at its first use, where there is a compiler."""

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

__all__ = ["CONDVAR", "CondvarWorker", "NoCompiler", "condvar_worker"]

CONDVAR = "pthread condvar in C"
LIMIT = 60  # seconds for the compiler


class NoCompiler(Exception):
    """There is no C compiler here, or it does not compile: says which."""


@cache
def _library() -> ctypes.CDLL:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NoCompiler("no C compiler here (cc)")
    with as_file(files("kwlab.bench") / "condvar.c") as source, tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "condvar.so"
        command = [compiler, "-O2", "-shared", "-fPIC", "-pthread", "-o", str(target), str(source)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NoCompiler(f"{Path(compiler).name} cannot be run ({type(error).__name__})") from None
        if done.returncode:
            raise NoCompiler(f"{Path(compiler).name} failed: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
        library = ctypes.CDLL(str(target))  # stays loaded when its file is gone
    library.condvar_start.restype = ctypes.c_void_p
    for function, arguments in (("condvar_wake", []), ("condvar_run", [ctypes.c_long])):
        getattr(library, function).argtypes = [ctypes.c_void_p, *arguments]
        getattr(library, function).restype = ctypes.c_double
    library.condvar_stop.argtypes = [ctypes.c_void_p]
    library.condvar_stop.restype = None
    return library


class CondvarWorker:
    """A running worker in C. Its calls give the GIL away."""

    def __init__(self, library: ctypes.CDLL, address: int) -> None:
        self._library, self._address = library, address

    def wake(self) -> float:
        """Seconds from queueing a work until its function starts."""
        return float(self._library.condvar_wake(self._address))

    def run(self, works: int) -> float:
        """Seconds for each of so many works, from queueing to having run."""
        took = float(self._library.condvar_run(self._address, works))
        if took < 0:
            raise MemoryError(f"no memory for {works} works in C")
        return took


@contextmanager
def condvar_worker() -> Iterator[CondvarWorker]:
    """A worker in C, ended with the block. Errors: `NoCompiler`."""
    library = _library()
    address = library.condvar_start()
    if not address:
        raise NoCompiler("its thread could not be started")
    try:
        yield CondvarWorker(library, address)
    finally:
        library.condvar_stop(address)
