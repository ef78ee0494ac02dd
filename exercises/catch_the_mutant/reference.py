# %% [markdown]
# # Exercise: catch the mutant
#
# **You will be able to** write a test for concurrent code that fails where it must.
# **Time**: about 60 minutes. **Before**: notebooks 04 and 06, and the exercises up to `flush_cancel`.
#
# The other way round: here the workers are given, one right and some wrong, and you write the *scenario* that tells
# them apart. A scenario is a function without arguments. It makes a worker, queues works, waits, looks at what has run,
# and destroys the worker. It is run in every order in which the threads can take their turns. A wrong worker is caught
# if in one of them an `assert` fails, or somebody hangs, or a work is left behind; with the right worker nothing of the
# kind may happen. Which wrong workers you get is chosen for you: others get others.

# %%
from typing import Any

from kwlab import (
    DEFINE_KTHREAD_WORK,
    KthreadWork,
    check,
    complete,
    hint,
    init_completion,
    kthread_cancel_work_sync,
    kthread_destroy_worker,
    kthread_flush_work,
    kthread_flush_worker,
    kthread_queue_work,
    kthread_run_worker,
    progress,
    reset,
    solution,
    wait_for_completion,
)

names: list[str] = []


def ran() -> list[str]:
    """The names of the works that have run, in order."""
    return list(names)


def gated_work(name: str, begun: Any, gate: Any) -> KthreadWork:
    """A work that completes `begun`, waits for `gate`, and then notes its name."""

    def note(work: KthreadWork) -> None:
        if begun is not None:
            complete(begun)
        if gate is not None:
            wait_for_completion(gate)
        names.append(name)

    return DEFINE_KTHREAD_WORK(note)


def new_work(name: str) -> KthreadWork:
    """A work that notes its name."""
    return gated_work(name, None, None)


def twice_work(name: str) -> KthreadWork:
    """A work that notes its name, and queues itself once more when it runs for the first time."""

    def note(work: KthreadWork) -> None:
        names.append(name)
        if names.count(name) < 2:
            kthread_queue_work(work.worker, work)

    return DEFINE_KTHREAD_WORK(note)


# %% [markdown]
# This is a scenario. It passes with the right worker, and with most of the wrong ones, too. (In your own `check()` of a
# scenario begin with `names.clear()`: it is run many times.)

# %%


def one_work() -> None:
    names.clear()
    worker = kthread_run_worker(0, "demo")
    kthread_queue_work(worker, new_work("A"))
    kthread_destroy_worker(worker)
    assert ran() == ["A"]


check(one_work).ok

# %% [markdown]
# ## Part 1: who queues and runs wrongly?
#
# The wrong workers of this part are wrong in `kthread_queue_work()` or in their loop.
#
# {tests 1}

# %%
# catch_the_mutant, part 1 (keep this line: check() finds your answer by it)


def catch_queueing() -> None:
    """Right with the right worker; with a worker that queues or runs wrongly, something goes wrong."""
    # solution: queue several works behind a gate, one of them twice; look at the return values and at ran()
    worker = kthread_run_worker(0, "demo")
    begun, gate = init_completion("begun"), init_completion("gate")
    first, second, twice = new_work("A"), new_work("B"), twice_work("T")
    assert kthread_queue_work(worker, gated_work("G", begun, gate))
    wait_for_completion(begun)
    assert kthread_queue_work(worker, first)
    assert kthread_queue_work(worker, second)
    assert not kthread_queue_work(worker, first)
    complete(gate)
    kthread_flush_worker(worker)
    assert ran() == ["G", "A", "B"]
    assert kthread_queue_work(worker, twice)
    kthread_flush_work(twice)
    kthread_flush_work(twice)
    kthread_destroy_worker(worker)
    assert ran() == ["G", "A", "B", "T", "T"]
    # end solution


# %%
check("catch_the_mutant")

# %% [markdown]
# ## Part 2: who waits and cancels wrongly?
#
# The wrong workers of this part are wrong in their flush, their cancel, or their destroy.
#
# {tests 2}

# %%
# catch_the_mutant, part 2 (keep this line: check() finds your answer by it)


def catch_waiting() -> None:
    """Right with the right worker; with a worker that waits or cancels wrongly, something goes wrong."""
    # solution: flush and cancel in front of a work that waits at a gate; open the gate afterwards
    worker = kthread_run_worker(0, "demo")
    begun, gate = init_completion("begun"), init_completion("gate")
    first, behind = new_work("A"), new_work("C")
    kthread_queue_work(worker, first)
    kthread_queue_work(worker, gated_work("B", begun, gate))
    kthread_flush_work(first)
    assert ran()[:1] == ["A"]
    wait_for_completion(begun)
    kthread_queue_work(worker, behind)
    assert kthread_cancel_work_sync(behind)
    complete(gate)
    kthread_queue_work(worker, new_work("D"))
    kthread_destroy_worker(worker)
    assert ran() == ["A", "B", "D"]
    # end solution


# %%
check("catch_the_mutant")

# %% [markdown]
# ## Done?
#
# With full marks `solution("catch_the_mutant")` shows how the course writes it.
#
# **Recap.** A test that only passes has shown nothing. Hold things with gates in the order that you want to see, assert
# what came at once and not only in the end, and make sure that it fails with a worker that is wrong.
#
# **In the kernel** (6.18): there is no test of `kthread_worker` in the tree. What you wrote is new.
