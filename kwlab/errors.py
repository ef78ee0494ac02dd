"""What can go wrong, by name.

A kernel reports trouble in three ways, and each has its class here: a WARN (it goes on), an oops (the thread
that did it is hurt), and memory misuse that C would let pass in silence and Python can name.
A kernel ``ERR_PTR(-E...)`` is no class of ours: it becomes the matching `OSError`.
"""

__all__ = ["DeadlockError", "ForkedWorkerError", "KernelWarning", "ListCorruption", "LockingError", "UseAfterFree"]


class KernelWarning(UserWarning):
    """A kernel WARN or oops: something that must not happen did, and the function went on to its end."""


class DeadlockError(RuntimeError):
    """A wait on one's own worker: the kernel would sleep here for ever (state D)."""


class LockingError(RuntimeError):
    """A spinlock used against its rules: taken twice, released by another, or needed and not held."""


class ListCorruption(RuntimeError):
    """Two list neighbours disagree about each other (what CONFIG_DEBUG_LIST reports)."""


class UseAfterFree(RuntimeError):
    """A touch of an object after `kfree`: names the object, the field, and where it was freed."""


class ForkedWorkerError(RuntimeError):
    """A worker made before `os.fork` used in the child, where its thread does not exist."""
