# %% [markdown]
# # Exercise: announce, look, sleep
#
# **You will be able to** write a sleep that no wake-up can miss, and say why each of its lines stands where it stands.
# **Time**: about 45 minutes. **Before**: notebook 02 (sleep and wake).
#
# A thread waits for letters. It must not look into the box all the time, so it sleeps, and whoever drops a letter wakes
# it. `wake_up_process()` changes the state of a task that sleeps or is about to. To a task that is running it does
# nothing, and nothing of it is kept.
#
# You write the functions with a `TODO`. `check("sleep_wake")` runs them in every order in which the threads can take
# their turns, and shows you one that goes wrong, if there is one. Keep the lines like `# sleep_wake, part 1`.

# %%
from typing import Any

from kwlab import (
    TASK_INTERRUPTIBLE,
    TASK_RUNNING,
    Struct,
    Task,
    __set_current_state,
    check,
    current,
    hint,
    kthread_should_stop,
    progress,
    reset,
    schedule,
    set_current_state,
    solution,
    wake_up_process,
)


class Mailbox(Struct):
    """Letters for one reader; `lock` guards the counters."""

    lock: Any
    letters: int  # in the box now
    taken: int  # what reader() in part 3 has taken so far
    reader: Task | None


# %% [markdown]
# ## Part 1: sleep until there is a letter
#
# `take_letter(box)` takes one letter: `box.letters` goes down by one. If there is none it sleeps until one comes.
# Somebody may wake the thread for nothing; then it looks, and sleeps again. Whoever returns from here is awake, so the
# state must be `TASK_RUNNING` again.
#
# {tests 1}

# %%
# sleep_wake, part 1 (keep this line: check() finds your answer by it)


def take_letter(box: Mailbox) -> None:
    """Take one letter; sleep until there is one."""
    # solution: announce, look under the lock, sleep; again and again until there is a letter
    while True:
        set_current_state(TASK_INTERRUPTIBLE)
        with box.lock:
            if box.letters:
                box.letters -= 1
                break
        schedule()
    __set_current_state(TASK_RUNNING)
    # end solution


# %%
check("sleep_wake")

# %% [markdown]
# ## Part 2: put a letter in, and wake
#
# `drop_letter(box)` is the other side. Several threads may call it at the same time.
#
# {tests 2}

# %%
# sleep_wake, part 2 (keep this line: check() finds your answer by it)


def drop_letter(box: Mailbox) -> None:
    """Put one letter into the box and wake its reader."""
    # solution: one letter more, under the lock; then wake `box.reader`
    with box.lock:
        box.letters += 1
    wake_up_process(box.reader)
    # end solution


# %%
check("sleep_wake")

# %% [markdown]
# ## Part 3: until told to stop
#
# `reader(box)` is a whole thread: it takes letters as they come, counts each in `box.taken`, and returns 0 as soon as
# `kthread_should_stop()` is true. A letter that is still in the box then stays there. `kthread_stop()` first sets the
# flag, then wakes the thread, then waits for its end. That flag has no lock.
#
# {tests 3}

# %%
# sleep_wake, part 3 (keep this line: check() finds your answer by it)


def reader(box: Mailbox) -> int:
    """Take letters and count them in `box.taken`, until told to stop; return 0."""
    # solution: announce, ask for a stop, look, and sleep only if there was no letter
    while True:
        set_current_state(TASK_INTERRUPTIBLE)
        if kthread_should_stop():
            __set_current_state(TASK_RUNNING)
            return 0
        with box.lock:
            found = box.letters > 0
            if found:
                box.letters -= 1
                box.taken += 1
        if not found:
            schedule()
    # end solution


# %%
check("sleep_wake")

# %% [markdown]
# ## Done?
#
# With full marks `solution("sleep_wake")` shows how the course writes it.
#
# **Recap.** Announce, look, sleep: a waker that comes after the look finds the announcement and takes it back, so the
# sleep does not happen. The waker's side is the mirror image: first what the sleeper looks for, then the wake-up. Every
# reason to wake up, a stop too, is looked for between the announcement and the sleep.
#
# **In the kernel** (6.18): `set_current_state()` and its comment in `include/linux/sched.h`, `try_to_wake_up()` in
# `kernel/sched/core.c`, `kthread_should_stop()` and `kthread_stop()` in `kernel/kthread.c`.
