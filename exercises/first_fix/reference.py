# %% [markdown]
# # Exercise: two lines to mend
#
# **You will be able to** check an answer, read what came of it, and ask for a hint.
# **Time**: about 15 minutes. **Before**: notebook 00 (the demo on your own machine).
#
# Two short functions are wrong, each in one place. You mend them; `check("first_fix")` runs what you wrote against the
# worker's own loop, in every order in which the threads can take their turns. Nothing is left to luck: if there is an
# order in which it goes wrong, you are shown it.
#
# A line like `# first_fix, part 1` tells the check where your answer is; keep it.

# %%
from kwlab import (
    KthreadWork,
    KthreadWorker,
    check,
    current,
    hint,
    kthread_flush_worker,
    kthread_stop,
    list_add_tail,
    list_empty,
    progress,
    reset,
    solution,
    wake_up_process,
)

# %% [markdown]
# ## Part 1: a line is missing
#
# `queue_one(worker, work)` puts a work on the worker's list. The thread may be asleep: it looks at the list only when
# somebody wakes it. Run the cell as it is, check it, and read what came.
#
# {tests 1}

# %%
# first_fix, part 1 (keep this line: check() finds your answer by it)


def queue_one(worker: KthreadWorker, work: KthreadWork) -> None:
    """Put `work` on the list of `worker`, and see to it that it will run."""
    with worker.lock:
        list_add_tail(work.node, worker.work_list)
        # solution: one line is missing here
        # instead:
        wake_up_process(worker.task)
        # end solution


# %%
check("first_fix")

# %% [markdown]
# Stuck? `hint("first_fix")` in a cell of its own. There are three for each part, and asking costs nothing.
#
# ## Part 2: two lines in the wrong order
#
# `finish(worker)` ends a worker for good. Everything that was queued shall have run before, and nobody may wait for
# ever. Both lines are needed, but not in this order.
#
# {tests 2}

# %%
# first_fix, part 2 (keep this line: check() finds your answer by it)


def finish(worker: KthreadWorker) -> None:
    """Let everything that is queued run, then end the thread."""
    # solution: put these two lines in the right order
    # instead: kthread_stop(worker.task)
    # instead: kthread_flush_worker(worker)
    kthread_flush_worker(worker)
    kthread_stop(worker.task)
    # end solution


# %%
check("first_fix")

# %% [markdown]
# ## Done?
#
# With full marks `solution("first_fix")` shows how the course writes it. `progress()` lists all exercises, and
# `reset("first_fix")` starts this one anew and keeps what you have.
#
# **Recap.** Linking a work and waking the thread are two things, and both are needed. A worker can only do what is
# asked of it while it has a thread: first let it work, then stop it.
#
# **In the kernel** (6.18, `kernel/kthread.c`): `kthread_insert_work()` links and wakes under one lock;
# `kthread_destroy_worker()` flushes, then stops.
