"""Ctrl-C and critical sections: what irqsave is to the kernel.

Python delivers SIGINT between any two bytecodes, so a `KeyboardInterrupt` could leave a lock held or a thread half
made. While the main thread is inside kwlab's own code the handler therefore only asks to be called again a moment
later; the interrupt arrives in the caller's code. A sleep is the exception: there is nothing half done in it, and
Ctrl-C must end it. Those places carry `@interruptible` and clean up behind themselves.
"""

import dis
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, TypeVar

__all__ = ["handler", "install", "interruptible"]

RETRY = 0.001  # seconds until a deferred Ctrl-C is delivered again

F = TypeVar("F", bound=Callable[..., Any])

_interruptible: set[CodeType] = set()
_protected = {
    f"kwlab.{module}"
    for module in (
        "bug",
        "executor",
        "face",
        "freezer",
        "kthread",
        "listhead",
        "printk",
        "sched",
        "struct",
        "timer",
        "worker",
        "workqueue",
    )
}
_state: dict[str, Any] = {"previous": None, "retrying": False}


def interruptible(function: F) -> F:
    """Mark a function inside which Ctrl-C is delivered at once: a sleep, or a call of somebody else's code."""
    _interruptible.add(function.__code__)
    return function


def install() -> None:
    """Put the deferring handler before Python's own, in the main thread. A handler of the program's own stays."""
    if threading.current_thread() is not threading.main_thread():
        return
    found = signal.getsignal(signal.SIGINT)
    if found is not signal.default_int_handler:
        return
    _state["previous"] = found
    signal.signal(signal.SIGINT, handler)
    _stay_installed_in_notebooks()


def _stay_installed_in_notebooks() -> None:
    # ipykernel puts Python's handler back before every cell; its hook comes after that.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    if shell is not None and not _state.get("hooked"):
        _state["hooked"] = True
        shell.events.register("pre_run_cell", lambda *_: install())


def handler(signum: int, frame: FrameType | None) -> None:
    """The deferring handler."""
    if _inside_section(frame) or _entering_with(frame):
        if not _state["retrying"]:
            _state["retrying"] = True
            threading.Thread(target=_retry, name="kwlab-sigint", daemon=True).start()
        return
    _state["previous"](signum, frame)


def _inside_section(frame: FrameType | None) -> bool:
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("kwlab.runtime.") or module in _protected:
            return frame.f_code not in _interruptible
        frame = frame.f_back
    return False


def _entering_with(frame: FrameType | None) -> bool:
    # ``with Worker(...)``: between the call that makes the worker and the block that destroys it lies one bytecode.
    if frame is None:
        return False
    following = (i.opname for i in dis.get_instructions(frame.f_code) if i.offset > frame.f_lasti)
    return next(following, "") == "BEFORE_WITH"


def _retry() -> None:
    time.sleep(RETRY)
    _state["retrying"] = False
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
