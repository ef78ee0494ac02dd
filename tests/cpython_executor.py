"""CPython's own tests of ThreadPoolExecutor, with WorkerExecutor in its place. A program: prints the outcome as JSON.

    python cpython_executor.py LIB I N    runs every N-th test from the I-th; LIB/test has test_concurrent_futures

One class stands in for the other in `concurrent.futures` before the tests are imported, and in every Python that
they start; so they are unchanged, and those that name ThreadPoolExecutor run too.
"""

import concurrent.futures
import importlib
import importlib.util
import json
import pkgutil
import sys
import sysconfig
import threading
import unittest
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TESTS = "test.test_concurrent_futures"

NOT_APPLICABLE = {
    "test_default_workers": "the default is one worker: more would give up the order that a worker is for",
    "test_idle_thread_reuse": "threads are not made on demand: there are max_workers from the start",
    "test_threads_terminate": "counts the threads made on demand; the rest of it is test_shutdown_ends_every_thread",
    "test_thread_names_default": "asks for the name ThreadPoolExecutor-N_M; kthreads have 15 visible characters",
}


def stand_in(lib: str) -> type:
    """Put WorkerExecutor in the place of ThreadPoolExecutor, and LIB/test in that of the package `test`."""
    sys.path.insert(0, str(ROOT))
    from kwlab.executor import WorkerExecutor

    class ThreadPoolExecutor(WorkerExecutor):
        """With the three private attributes that the tests read."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._max_workers = len(self._crew.tasks)
            pids = {task.pid for task in self._crew.tasks}
            self._threads = {thread for thread in threading.enumerate() if thread.native_id in pids}

        @property
        def _broken(self) -> str:
            return self._crew.broken

    concurrent.futures.ThreadPoolExecutor = ThreadPoolExecutor  # type: ignore[misc,assignment]
    places = [str(Path(lib, "test")), str(Path(sysconfig.get_path("stdlib"), "test"))]
    package = importlib.util.module_from_spec(importlib.machinery.ModuleSpec("test", None, is_package=True))
    package.__path__ = places
    sys.modules["test"] = package
    return ThreadPoolExecutor


def stand_in_children(lib: str) -> None:
    """The same in every Python that the tests start with -c."""
    from test.support import script_helper

    plain = script_helper.assert_python_ok
    first = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import cpython_executor as c; "

    def assert_python_ok(option: str, code: str, **env: str) -> Any:
        return plain(option, f"{first}c.stand_in({lib!r})\n{code}", **env)

    script_helper.assert_python_ok = assert_python_ok


def modules() -> list[Any]:
    """The test module, or the modules of the package that it became in later versions."""
    top = importlib.import_module(TESTS)
    inside = pkgutil.iter_modules(getattr(top, "__path__", []), f"{TESTS}.")
    names = [module.name for module in inside if module.name.rpartition(".")[2].startswith("test_")]
    return [top, *map(importlib.import_module, names)]


def cases(executor_type: type) -> list[unittest.TestCase]:
    """Every test of a class that makes its executors with `executor_type`."""
    loader = unittest.TestLoader()
    found = []
    for module in modules():
        for cls in vars(module).values():
            # The mixins and bases are no TestCases; a class imported from another module is that module's.
            if isinstance(cls, type) and issubclass(cls, unittest.TestCase) and cls.__module__ == module.__name__:
                if getattr(cls, "executor_type", None) is executor_type:
                    found += list(loader.loadTestsFromTestCase(cls))  # type: ignore[arg-type]
    return found


def name_of(test: unittest.TestCase) -> str:
    return test.id().rpartition(".")[2]


def still_alive() -> list[str]:
    """The names of the threads that do not end by themselves."""
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    for thread in others:
        if not isinstance(thread, threading._DummyThread):
            thread.join(10)
    return [thread.name for thread in others if thread.is_alive()]


def main(lib: str, first: int, step: int) -> None:
    executor_type = stand_in(lib)
    stand_in_children(lib)
    everything = sorted(cases(executor_type), key=unittest.TestCase.id)[first::step]
    to_run = [test for test in everything if name_of(test) not in NOT_APPLICABLE]
    names = [str(test) for test in to_run]
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=2).run(unittest.TestSuite(to_run))
    outcome = {
        "run": names,
        "failed": {str(test): text for test, text in [*result.failures, *result.errors]},
        "skipped": {str(test): reason for test, reason in result.skipped},
        "left_out": [name_of(test) for test in everything if name_of(test) in NOT_APPLICABLE],
        "threads": still_alive(),
    }
    print()  # the tests print times
    print(json.dumps(outcome))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
