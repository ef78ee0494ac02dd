# %% [markdown]
# # Exercise: the loop of the worker
#
# **You will be able to** write the loop of a `kthread_worker` in four steps, and say what each line is there for.
# **Time**: about 90 minutes. **Before**: notebook 03 and `sleep_wake` (parts 1 and 2), notebook 05 (parts 3 and 4).
#
# The article shows the loop like this:
#
# ```text
# while (!kthread_should_stop()) {
#     work = take the first work;
#     if (work) work->func(work);
# }
# ```
#
# It turns round and round while there is nothing to do, takes works off the list with no lock, and misses wake-ups as
# soon as it sleeps. You build the real one, a part at a time; begin each part with a copy of the part before. Every
# function runs as a worker's thread, in every order in which the threads can take their turns.

# %%
from kwlab import (
    TASK_INTERRUPTIBLE,
    TASK_RUNNING,
    KthreadWork,
    KthreadWorker,
    __set_current_state,
    check,
    cond_resched,
    hint,
    kthread_should_stop,
    list_del_init,
    list_empty,
    list_first_entry,
    progress,
    reset,
    schedule,
    set_current_state,
    solution,
)

# %% [markdown]
# ## Part 1: sleep until there is a work, and run it
#
# `run_one(worker)` runs the first work on `worker.work_list` and returns; it sleeps while there is none. Whoever queues
# links under `worker.lock` and wakes the thread. A callback, `work.func(work)`, is called without the lock and in
# `TASK_RUNNING`: it may queue, and it may sleep.
#
# {tests 1}

# %%
# worker_loop, part 1 (keep this line: check() finds your answer by it)


def run_one(worker: KthreadWorker) -> None:
    """Sleep until there is a work; take it off the list, and run it."""
    # solution: announce, look under the lock, sleep; take the first work off and call it outside the lock
    while True:
        set_current_state(TASK_INTERRUPTIBLE)
        work = None
        with worker.lock:
            if not list_empty(worker.work_list):
                work = list_first_entry(worker.work_list, KthreadWork, "node")
                list_del_init(work.node)
        if work is not None:
            break
        schedule()
    __set_current_state(TASK_RUNNING)
    work.func(work)
    # end solution


# %%
check("worker_loop")

# %% [markdown]
# ## Part 2: until told to stop
#
# `loop_with_stop(worker)` is a whole thread: it runs works as they come. When `kthread_should_stop()` is true it sets
# `worker.task` to None, under the lock, and returns 0. Works that are queued then are not run.
#
# {tests 2}

# %%
# worker_loop, part 2 (keep this line: check() finds your answer by it)


def loop_with_stop(worker: KthreadWorker) -> int:
    """Run works as they come, until told to stop; return 0."""
    # solution: announce, ask for the stop, then look; sleep only if there was no work
    while True:
        set_current_state(TASK_INTERRUPTIBLE)
        if kthread_should_stop():
            __set_current_state(TASK_RUNNING)
            with worker.lock:
                worker.task = None
            return 0
        work = None
        with worker.lock:
            if not list_empty(worker.work_list):
                work = list_first_entry(worker.work_list, KthreadWork, "node")
                list_del_init(work.node)
        if work is not None:
            __set_current_state(TASK_RUNNING)
            work.func(work)
        else:
            schedule()
    # end solution


# %%
check("worker_loop")

# %% [markdown]
# ## Part 3: say what runs
#
# A callback may sleep for a reason of its own, and a queueing must not wake it. So `kthread_queue_work()` wakes the
# thread only if `worker.current_work` is None. `loop_with_current_work(worker)` keeps that field. A callback may free
# its work: after the call, the loop does not look into it.
#
# {tests 3}

# %%
# worker_loop, part 3 (keep this line: check() finds your answer by it)


def loop_with_current_work(worker: KthreadWorker) -> int:
    """As loop_with_stop, and `worker.current_work` says which work was taken last; None if the list was empty."""
    # solution: as in part 2, and store current_work in the section that looks at the list
    while True:
        set_current_state(TASK_INTERRUPTIBLE)
        if kthread_should_stop():
            __set_current_state(TASK_RUNNING)
            with worker.lock:
                worker.task = None
            return 0
        work = None
        with worker.lock:
            if not list_empty(worker.work_list):
                work = list_first_entry(worker.work_list, KthreadWork, "node")
                list_del_init(work.node)
            worker.current_work = work
        if work is not None:
            __set_current_state(TASK_RUNNING)
            work.func(work)
        else:
            schedule()
    # end solution


# %%
check("worker_loop")

# %% [markdown]
# ## Part 4: the barrier, and all together
#
# The stop flag has no lock. `kthread_stop()` writes the flag, then reads the thread's state to wake it; the loop writes
# its state, then reads the flag. On a real machine a plain store may be seen by others only after a later read. If that
# happens, neither sees the other, and the thread sleeps for ever. `set_current_state()` has a full memory barrier
# behind its store, `__set_current_state()` has none.
#
# `complete_loop(worker)` is the loop of part 3, announced as it must be, that lets others run at the end of each round
# (`cond_resched()`). Flushes, and works that queue themselves, must work with it.
#
# {tests 4}

# %%
# worker_loop, part 4 (keep this line: check() finds your answer by it)


def complete_loop(worker: KthreadWorker) -> int:
    """The loop of a kthread_worker."""
    # solution: the loop of part 3; announce with the barrier, and call cond_resched() in each round
    while True:
        set_current_state(TASK_INTERRUPTIBLE)
        if kthread_should_stop():
            __set_current_state(TASK_RUNNING)
            with worker.lock:
                worker.task = None
            return 0
        work = None
        with worker.lock:
            if not list_empty(worker.work_list):
                work = list_first_entry(worker.work_list, KthreadWork, "node")
                list_del_init(work.node)
            worker.current_work = work
        if work is not None:
            __set_current_state(TASK_RUNNING)
            work.func(work)
        else:
            schedule()
        cond_resched()
    # end solution


# %%
check("worker_loop")

# %% [markdown]
# ## Done?
#
# With full marks `solution("worker_loop")` shows how the course writes it.
#
# **Recap.** Announce, ask for a stop, look, sleep. The work is off the list before it runs. `current_work` is stored in
# the section that looks, whatever it found: that is why a wake-up may be skipped while it is set. After the call the
# loop never looks into the work again.
#
# **In the kernel** (6.18): `kthread_worker_fn()` in `kernel/kthread.c`. It has two more lines: it stores `current` in
# `worker->task` when it begins, and it takes part in the freezing of the system.
