# %% [markdown]
# # Exercise: wait for a work, and take it back
#
# **You will be able to** write a flush and a cancel, and say what each of them does not wait for.
# **Time**: about 60 minutes. **Before**: notebook 06 (flush and cancel), and the exercise `queue_work`.
#
# Nothing in a worker keeps a list of who waits for what. A flush is a work itself: it does nothing but tell that its
# turn has come, and since works run one after the other, its *place* on the list says what it waits for.

# %%
from typing import Any

from kwlab import (
    KthreadWork,
    KthreadWorker,
    ListHead,
    Struct,
    check,
    complete,
    container_of,
    hint,
    init_completion,
    kthread_init_work,
    list_add,
    list_add_tail,
    list_del_init,
    list_empty,
    progress,
    reset,
    solution,
    wait_for_completion,
    wake_up_process,
)


class FlushWork(Struct):
    """A work that completes `done` when its turn comes."""

    work: KthreadWork
    done: Any


def new_flush_work() -> FlushWork:
    """A flush work, ready to be put on a list. Its `work` is what you insert, its `done` what you wait for."""
    flush = FlushWork()
    flush.done = init_completion("flush")
    kthread_init_work(flush.work, lambda work: complete(container_of(work, FlushWork, "work").done))
    return flush


def insert_work(worker: KthreadWorker, work: KthreadWork, before: ListHead) -> None:
    """Link `work` just before the entry `before`, and wake the thread if it must be. Under `worker.lock`."""
    list_add_tail(work.node, before)
    work.worker = worker
    if worker.current_work is None and worker.task is not None:
        wake_up_process(worker.task)


# %% [markdown]
# ## Part 1: flush
#
# `flush_work(work)` waits until the run of `work` that is owed or under way *now* is over, and for nothing more. The
# worker is `work.worker`; it is None if the work was never queued. `new_flush_work()` makes the work that tells you,
# and `insert_work(worker, flush.work, before)` links it before any entry of the list: you choose which.
#
# {tests 1}

# %%
# flush_cancel, part 1 (keep this line: check() finds your answer by it)


def flush_work(work: KthreadWork) -> None:
    """Wait until the instance of `work` that is pending or running now has finished."""
    # solution: put a flush work right behind the work, wherever that is; wait for it outside the lock
    worker = work.worker
    if worker is None:
        return
    flush = new_flush_work()
    with worker.lock:
        if not list_empty(work.node):
            insert_work(worker, flush.work, work.node.next)
        elif worker.current_work is work:
            insert_work(worker, flush.work, worker.work_list.next)
        else:
            return
    wait_for_completion(flush.done)
    # end solution


# %%
check("flush_cancel")

# %% [markdown]
# ## Part 2: cancel
#
# `cancel_work(work)` takes the work off the list, and waits if it runs. It returns True if the work was pending and
# this call took it off, else False. When it comes back the work is neither pending nor running. In between nobody can
# queue it: `kthread_queue_work()` refuses a work whose `canceling` is above 0. Use your `flush_work`.
#
# {tests 2}

# %%
# flush_cancel, part 2 (keep this line: check() finds your answer by it)


def cancel_work(work: KthreadWork) -> bool:
    """Take `work` off the list and wait until it does not run; True if it was pending."""
    # solution: unlink under the lock; if it runs, count `canceling` up, flush, and count down again
    worker = work.worker
    if worker is None:
        return False
    with worker.lock:
        pending = not list_empty(work.node)
        if pending:
            list_del_init(work.node)
        running = worker.current_work is work
        if running:
            work.canceling += 1
    if running:
        flush_work(work)
        with worker.lock:
            work.canceling -= 1
    return pending
    # end solution


# %%
check("flush_cancel")

# %% [markdown]
# ## Done?
#
# With full marks `solution("flush_cancel")` shows how the course writes it.
#
# **Recap.** A flush is a work, and its place is its meaning. A cancel tells whether it took something off the list;
# False does not mean that it did nothing, since it may have waited. While it waits it keeps everybody from queueing.
#
# **In the kernel** (6.18, `kernel/kthread.c`): `kthread_flush_work()`, `__kthread_cancel_work()`,
# `__kthread_cancel_work_sync()`.
