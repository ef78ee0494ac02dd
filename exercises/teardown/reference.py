# %% [markdown]
# # Exercise: the way out
#
# **You will be able to** take a driver down in an order in which nobody uses what is gone.
# **Time**: about 50 minutes. **Before**: notebook 06 (flush and cancel), and `flush_cancel`.
#
# Most bugs with workers are in the last ten lines of a driver. Four questions find them: who queues, who sleeps, who
# frees, who stops first? What you write runs while timers fire and works run, in every order in which they can.

# %%
from kwlab import (
    KthreadDelayedWork,
    KthreadWork,
    KthreadWorker,
    Struct,
    Task,
    TimerList,
    check,
    hint,
    kfree,
    kthread_cancel_delayed_work_sync,
    kthread_cancel_work_sync,
    kthread_destroy_worker,
    kthread_flush_work,
    kthread_flush_worker,
    progress,
    reset,
    solution,
    timer_delete_sync,
)


class Demo(Struct):
    """A device: its timer and its works are part of it, its worker is not."""

    worker: KthreadWorker | None
    timer: TimerList  # queues `work` when it fires
    work: KthreadWork  # its function uses the device
    poll: KthreadDelayedWork  # part 2: queues itself again whenever it runs
    count: int
    irq: Task | None


# %% [markdown]
# ## Part 1: a timer that queues
#
# `demo.timer` is armed; when it fires it queues `demo.work` on `demo.worker`, and the work's function uses the device.
# `remove_ticking(demo)` takes all of it down and frees the device with `kfree()`. `timer_delete_sync()` disarms a timer
# and waits for a callback that is under way.
#
# {tests 1}

# %%
# teardown, part 1 (keep this line: check() finds your answer by it)


def remove_ticking(demo: Demo) -> None:
    """Take the device down: timer, work, worker; free it."""
    # solution: first who queues, then the work, then the worker, and the memory last
    timer_delete_sync(demo.timer)
    kthread_cancel_work_sync(demo.work)
    kthread_destroy_worker(demo.worker)
    kfree(demo)
    # end solution


# %%
check("teardown")

# %% [markdown]
# ## Part 2: a work that queues itself
#
# `demo.poll` is a delayed work: it runs, and queues itself again for a moment later. There is no other timer here.
#
# {tests 2}

# %%
# teardown, part 2 (keep this line: check() finds your answer by it)


def remove_polling(demo: Demo) -> None:
    """Take a device down that polls by itself; free it."""
    # solution: cancel what queues itself, its timer too; then the worker, then the memory
    kthread_cancel_delayed_work_sync(demo.poll)
    kthread_destroy_worker(demo.worker)
    kfree(demo)
    # end solution


# %%
check("teardown")

# %% [markdown]
# ## Part 3: a driver in C
#
# This driver's timer and its interrupt handler both queue `d->work`, and the work's function uses `d`. Its exit path
# has all the lines that it needs, in an order that crashed a machine:
#
# ```c
# static void demo_remove(struct demo *d)
# {
#         kthread_destroy_worker(d->worker);      /* A */
#         kfree(d);                               /* B */
#         hrtimer_cancel(&d->timer);              /* C */
#         free_irq(d->irq, d);                    /* D  returns when no handler is under way any more */
#         kthread_cancel_work_sync(&d->work);     /* E */
# }
# ```
#
# `exit_order()` returns the letters in an order that is safe, like `"A B C D E"`. `not_needed()` returns the letter of
# the one line that could be left out of your order. Both answers are played: the lines run in your order, while the
# timer fires and the handler runs.
#
# {tests 3}

# %%
# teardown, part 3 (keep this line: check() finds your answer by it)


def exit_order() -> str:
    """The letters of the lines, in an order that is safe."""
    # solution: return the letters, separated by blanks
    return "C D E A B"
    # end solution


def not_needed() -> str:
    """The letter of the line that is not needed in that order."""
    # solution: return one letter
    return "E"
    # end solution


# %%
check("teardown")

# %% [markdown]
# ## Done?
#
# With full marks `solution("teardown")` shows how the course writes it.
#
# **Recap.** Whoever queues is stopped first: timers, interrupts, works that queue themselves. Then the works, then the
# worker, and the memory last. `kthread_destroy_worker()` lets run what is queued, once; it cancels nothing.
#
# **In the kernel** (6.18): `kthread_destroy_worker()` in `kernel/kthread.c`. The `wave5` driver had its timer and its
# worker in the wrong order until 6.19.
