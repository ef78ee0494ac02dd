"""The walls of the box: what the operating system forbids the process of an answer.

Set by the process itself, after the fork and before the first line of the answer, in an order that matters: what
needs privileges or descriptors comes first. There is no way back from any of it, for that process or a child of it.

* No new descriptors: the limit is the number of those it holds, so no file can be opened, no socket, no pipe. That
  is also how it has no network, and why it cannot read the solution, the grader, or another learner's answer.
* No new processes or threads (`processes = 0`); as root it first becomes "nobody", for root has no such limit.
* Memory, processor time and core dumps are limited; the referee stops it long before its processor time runs out.
* It dies with the referee, gets no new privileges, and cannot be traced or looked into by others of the same user.

What native code in the answer (ctypes through a hole in Python) could still do: use its two pipes to the referee, on
which everything it says is data to be judged; signal processes of the same user, where kwlab was not started as root;
and use the processor until it is stopped. Outside Linux the limits are those that POSIX has.
"""

import ctypes
import faulthandler
import os
import resource
import signal
import sys

from kwlab.grade.exercise import Limits

__all__ = ["CHANNEL", "HARD_STOP", "SPARE", "STACKS", "adopt_orphans", "confine", "hide", "keep_only", "kill_children"]

HARD_STOP = 10.0
"""Seconds after which a check is ended from outside; the referee's own clock rings two seconds before."""

SPARE = 2.0  # the seconds between these two
CHANNEL, STACKS = 3, 4  # the descriptors that an answer keeps, beside three that lead to /dev/null

_NOBODY = 65534
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def _control(option: int, value: int) -> None:
    if _prctl is not None:
        _prctl(option, value, 0, 0, 0)


def hide() -> None:
    """No other process of this user may read this one's memory or descriptors, or trace it."""
    _control(_PR_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Whatever is left behind by a child becomes a child of this process, where `kill_children` finds it."""
    _control(_PR_SET_CHILD_SUBREAPER, 1)


def kill_children() -> None:
    """End every child of this process, and theirs as they are handed on to it."""
    for _ in range(1000):
        try:
            with open(f"/proc/self/task/{os.getpid()}/children", encoding="utf-8") as file:
                children = [int(pid) for pid in file.read().split()]
        except OSError:
            children = []  # no Linux: processes=0 is what keeps an answer from having any
        if not children:
            return
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)


def keep_only(channel: int, stacks: int) -> None:
    """Leave the referee's session, and close all descriptors but the given: now `CHANNEL` and `STACKS`."""
    os.setsid()  # a signal to its own group must not reach the referee
    nowhere = os.open(os.devnull, os.O_RDWR)
    # Both go out of the way first, or moving the one might close the other.
    channel, stacks = (os.dup2(fd, high, inheritable=False) for fd, high in ((channel, 60), (stacks, 61)))
    for fd, kept in ((nowhere, 0), (nowhere, 1), (nowhere, 2), (channel, CHANNEL), (stacks, STACKS)):
        os.dup2(fd, kept, inheritable=False)
    os.closerange(STACKS + 1, 65536)


def confine(limits: Limits) -> None:
    """Shut this process in, for good; `keep_only` has gone before."""
    parent = os.getppid()
    memory = _address_space() + limits.memory_mb * 2**20
    # SIGUSR1 asks for the stacks of all threads. The handler is C: it needs no lock, and no answer can hold it up.
    faulthandler.register(signal.SIGUSR1, file=STACKS, all_threads=True, chain=False)
    _control(_PR_SET_NO_NEW_PRIVS, 1)
    if os.geteuid() == 0:
        try:
            os.setgroups([])
            os.setgid(_NOBODY)
            os.setuid(_NOBODY)
        except PermissionError:
            pass  # root of a container without the privilege to be somebody else: the other walls stand
    # Becoming somebody else clears both of these: only now do they hold.
    _control(_PR_SET_PDEATHSIG, signal.SIGKILL)
    hide()
    if os.getppid() != parent:
        os._exit(1)
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_FSIZE", 0)
    _limit("RLIMIT_CPU", 12)
    _limit("RLIMIT_AS", memory)
    _limit("RLIMIT_NPROC", limits.processes)
    _limit("RLIMIT_NOFILE", STACKS + 1)


def _limit(name: str, value: int) -> None:
    which = getattr(resource, name, None)
    if which is None:
        return
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    try:
        resource.setrlimit(which, (value, value))
    except (ValueError, OSError):
        if sys.platform == "linux":
            raise


def _address_space() -> int:
    try:
        with open("/proc/self/statm", encoding="utf-8") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 2**30
