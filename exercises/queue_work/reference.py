# %% [markdown]
# # Exercise: queue a work
#
# **You will be able to** write `kthread_queue_work()`, and say when it may skip the wake-up and why.
# **Time**: about 45 minutes. **Before**: notebook 04 (queue).
#
# The other side of the loop. Any number of clients call it at any time, from an interrupt too, so it never sleeps. What
# you write runs together with the worker's own loop, in every order in which the threads can take their turns.

# %%
from kwlab import (
    KthreadWork,
    KthreadWorker,
    check,
    hint,
    list_add_tail,
    list_empty,
    progress,
    reset,
    solution,
    wake_up_process,
)

# %% [markdown]
# ## Part 1: link, once
#
# `queue_plain(worker, work)` links `work` at the tail of `worker.work_list`, stores the worker in `work.worker` (a
# flush finds it there later), wakes the thread, and returns True. If the work is pending it changes nothing and returns
# False: a run is owed already. A work that runs, and is not pending, may be queued again.
#
# {tests 1}

# %%
# queue_work, part 1 (keep this line: check() finds your answer by it)


def queue_plain(worker: KthreadWorker, work: KthreadWork) -> bool:
    """Queue `work`; True if this call linked it."""
    # solution: under the lock: refuse a pending work; link it, remember the worker, wake the thread
    with worker.lock:
        if not list_empty(work.node):
            return False
        list_add_tail(work.node, worker.work_list)
        work.worker = worker
        wake_up_process(worker.task)
        return True
    # end solution


# %%
check("queue_work")

# %% [markdown]
# ## Part 2: refuse, and skip the wake-up
#
# `queue_work(worker, work)` is the kernel's. It also refuses a work that somebody is cancelling (`work.canceling` is
# above 0). And it wakes only if it must: not while the thread runs a work, since the callback may be asleep for a
# reason of its own, and the loop looks at the list again anyway; not if there is no thread (`worker.task` is None).
#
# Remember where the loop stores `worker.current_work`: in the section that looks at the list.
#
# {tests 2}

# %%
# queue_work, part 2 (keep this line: check() finds your answer by it)


def queue_work(worker: KthreadWorker, work: KthreadWork) -> bool:
    """Queue `work` as the kernel does; True if this call linked it."""
    # solution: as in part 1; refuse what is being cancelled, and wake only if nothing else makes the loop look
    with worker.lock:
        if not list_empty(work.node) or work.canceling:
            return False
        list_add_tail(work.node, worker.work_list)
        work.worker = worker
        if worker.current_work is None and worker.task is not None:
            wake_up_process(worker.task)
        return True
    # end solution


# %%
check("queue_work")

# %% [markdown]
# ## Done?
#
# With full marks `solution("queue_work")` shows how the course writes it.
#
# **Recap.** `False` is no error: a run is owed already, or somebody is cancelling. The question and the answer to it
# stand in one section. The wake-up may be skipped only because the loop stores `current_work` in the very section in
# which it finds the list empty.
#
# **In the kernel** (6.18, `kernel/kthread.c`): `kthread_queue_work()`, `queuing_blocked()`, `kthread_insert_work()`.
