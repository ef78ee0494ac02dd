# %% [markdown]
# # Exercise: the list that lives inside its entries
#
# **You will be able to** link, unlink and splice the kernel's lists, and say why a work can be on one list only.
# **Time**: about 40 minutes. **Before**: notebook 01 (structs and lists).
#
# Every list of a `kthread_worker` is a ring of `ListHead`s. The head is one of them, and so is the `node` inside each
# work. Nothing is allocated when a work is queued: four pointers change, so it can be done from an interrupt.
#
# ```text
#        head          A.node         B.node
#     +---------+    +---------+    +---------+
# +-->| next  o-+--->| next  o-+--->| next  o-+--+
# |   | prev    |    | prev    |    | prev    |  |   each prev points the other way round
# |   +---------+    +---------+    +---------+  |
# +----------------------------------------------+
# ```
#
# You write the functions with a `TODO`. `check("list_head")` grades the cells that you have run, in a process of its
# own: nothing that your code does can hurt this notebook. A line like `# list_head, part 1` tells it where your answer
# is; keep it.

# %%
from collections.abc import Iterator

from kwlab import INIT_LIST_HEAD, ListHead, Struct, check, container_of, hint, progress, reset, solution

# %% [markdown]
# An entry that is on no list points at itself, and so does an empty list. There is no `None` anywhere in a ring.

# %%
head = ListHead()
INIT_LIST_HEAD(head)
head.next is head, head.prev is head

# %% [markdown]
# ## Part 1: link
#
# `list_add(new, head)` links `new` right behind `head`, `list_add_tail(new, head)` right before it. Since the list is a
# ring, "before the head" is the tail. And `head` may be any entry: flushing a work links a barrier right behind it.
#
# Neither may walk the list: a queue of a million works must not make the next one slower.
#
# {tests 1}

# %%
# list_head, part 1 (keep this line: check() finds your answer by it)


def list_add(new: ListHead, head: ListHead) -> None:
    """Link `new` right behind `head`."""
    # solution: name the two neighbours of `new`, then set the four pointers between them
    before, after = head, head.next
    after.prev = new
    new.next = after
    new.prev = before
    before.next = new
    # end solution


def list_add_tail(new: ListHead, head: ListHead) -> None:
    """Link `new` right before `head`."""
    # solution: as in list_add, with the other pair of neighbours
    before, after = head.prev, head
    after.prev = new
    new.next = after
    new.prev = before
    before.next = new
    # end solution


# %%
check("list_head")

# %% [markdown]
# Stuck? `hint("list_head")` in a cell of its own. There are three for each part, and asking costs nothing.
#
# ## Part 2: unlink, and ask
#
# For a work, *being linked is being pending*: `kthread_queue_work()` asks `list_empty(&work->node)` and refuses a work
# that is on a list already. So whoever takes a work off must leave it pointing at itself. Plain `list_del()` does not:
# such a work could never be queued again.
#
# {tests 2}

# %%
# list_head, part 2 (keep this line: check() finds your answer by it)


def list_del_init(entry: ListHead) -> None:
    """Unlink `entry` and leave it pointing at itself."""
    # solution: let the neighbours point at each other, then `entry` at itself
    entry.prev.next = entry.next
    entry.next.prev = entry.prev
    entry.next = entry.prev = entry
    # end solution


def list_empty(head: ListHead) -> bool:
    """True if nothing is linked to `head`."""
    # solution: return whether `head` points at itself
    return head.next is head
    # end solution


# %%
check("list_head")

# %% [markdown]
# ## Part 3: splice
#
# `list_splice_tail_init(source, head)` moves all entries of `source` to the tail of `head`, in their order, and leaves
# `source` empty. However many they are, the same few pointers change. Whoever holds a lock takes a whole list along in
# this way, and works on it after the unlock.
#
# {tests 3}

# %%
# list_head, part 3 (keep this line: check() finds your answer by it)


def list_splice_tail_init(source: ListHead, head: ListHead) -> None:
    """Move every entry of `source` to the tail of `head`, and leave `source` empty."""
    # solution: unless `source` is empty, link its two ends into `head`, and empty it
    if source.next is source:
        return
    first, last, tail = source.next, source.prev, head.prev
    tail.next = first
    first.prev = tail
    last.next = head
    head.prev = last
    source.next = source.prev = source
    # end solution


# %%
check("list_head")

# %% [markdown]
# ## Part 4: from the member to the struct
#
# The ring links `node`s; the worker wants works. `container_of(pointer, kind, member)` leads from a member back to the
# struct around it: in C by subtracting an offset.

# %%


class Job(Struct):
    """A struct with a list entry inside, as every work has one."""

    name: str
    node: ListHead


job = Job()
container_of(job.node, Job, "node") is job

# %% [markdown]
# `list_for_each_entry_safe(head, kind, member)` yields the structs on the list, first to last. "Safe" means safe
# against the caller, who may unlink the entry just given.
#
# {tests 4}

# %%
# list_head, part 4 (keep this line: check() finds your answer by it)


def list_for_each_entry_safe(head: ListHead, kind: type[Struct], member: str) -> Iterator[Struct]:
    """Yield every `kind` whose field `member` is linked into `head`; the one in hand may be unlinked."""
    # solution: walk the ring once, and yield the struct around each entry
    entry = head.next
    while entry is not head:
        following = entry.next
        yield container_of(entry, kind, member)
        entry = following
    # end solution


# %%
check("list_head")

# %% [markdown]
# ## Done?
#
# With full marks `solution("list_head")` shows how the course writes it. `progress()` lists all exercises, and
# `reset("list_head")` starts this one anew and keeps what you have.
#
# **Recap.** The list owns nothing: the link is inside the entry, so adding allocates nothing, and one link means one
# list at a time. Linking and unlinking know only the two neighbours, so neither depends on the length. A self-linked
# entry is on no list, and that is how a worker knows that a work is not pending.
#
# **In the kernel** (6.18): `include/linux/list.h` has all of these, `include/linux/container_of.h` the way back;
# `kernel/kthread.c` uses them in `kthread_insert_work()` (add before), `kthread_worker_fn()` (first entry, `del_init`)
# and `kthread_flush_work()` (a barrier right behind the work).
