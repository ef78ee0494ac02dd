"""The kernel's doubly linked list: a ring of `ListHead`s that live *inside* the things they link.

The list owns nothing and allocates nothing; that is why a work can be queued from an interrupt, and why a work can
be on one list only. An entry that points at itself is on no list: for a work, *being linked is being pending*.
Nothing here locks: whoever owns the list holds the lock that guards it.

Mirrors include/linux/list.h, Linux 6.18, with the checks of CONFIG_DEBUG_LIST.
"""

from collections.abc import Iterator
from typing import Any, TypeVar

from kwlab.errors import ListCorruption
from kwlab.struct import Struct, container_of

__all__ = [
    "INIT_LIST_HEAD",
    "ListHead",
    "list_add",
    "list_add_tail",
    "list_del_init",
    "list_empty",
    "list_first_entry",
    "list_for_each",
    "list_for_each_entry",
    "list_splice_tail_init",
]

T = TypeVar("T", bound=Struct)


class ListHead(Struct):
    """``struct list_head``: `next` and `prev` are ListHeads, ``None`` until `INIT_LIST_HEAD`."""

    __slots__ = ("next", "prev")

    next: Any
    prev: Any

    def __init__(self) -> None:
        self._container = self._shadow = None
        self.next = self.prev = None

    def __repr__(self) -> str:
        if self.next is None:
            return "<ListHead not initialised>"
        return "<ListHead empty>" if self.next is self else f"<ListHead linked, {sum(1 for _ in list_for_each(self))}>"


def INIT_LIST_HEAD(head: ListHead) -> None:
    """Make `head` an empty list, or an entry that is on no list: both point at themselves."""
    head.next = head.prev = head


def list_empty(head: ListHead) -> bool:
    """True if nothing is linked: an empty list, or an entry on no list."""
    return head.next is head


def list_add(new: ListHead, head: ListHead) -> None:
    """Link `new` right behind `head`: at the front of the list. O(1)."""
    list_add_tail(new, head.next)


def list_add_tail(new: ListHead, head: ListHead) -> None:
    """Link `new` right before `head`: at the tail of the list, or just before any other entry. O(1)."""
    prev = head.prev
    if prev.next is not head or new is prev or new is head:
        raise ListCorruption(_corrupted("list_add", new, prev, head))
    head.prev = new
    new.next = head
    new.prev = prev
    prev.next = new


def list_del_init(entry: ListHead) -> None:
    """Unlink `entry` and leave it pointing at itself: on no list, ready to be linked again. O(1)."""
    prev, next = entry.prev, entry.next
    if prev.next is not entry or next.prev is not entry:
        raise ListCorruption(_corrupted("list_del", entry, prev, next))
    next.prev = prev
    prev.next = next
    entry.next = entry.prev = entry


def _corrupted(operation: str, entry: ListHead, prev: ListHead, next: ListHead) -> str:
    if entry is prev or entry is next:
        return f"{operation} corruption: the entry is linked already (double add)"
    return (
        f"{operation} corruption: the neighbours do not point at each other; "
        "was an entry re-initialised, freed or changed without the lock while it was linked?"
    )


def list_splice_tail_init(source: ListHead, head: ListHead) -> None:
    """Move every entry of `source` to the tail of `head`, in order, and leave `source` empty. O(1)."""
    if list_empty(source):
        return
    first, last, tail = source.next, source.prev, head.prev
    first.prev = tail
    tail.next = first
    last.next = head
    head.prev = last
    INIT_LIST_HEAD(source)


def list_for_each(head: ListHead) -> Iterator[ListHead]:
    """The entries of the list, first to last. The entry in hand may be unlinked (``list_for_each_safe``)."""
    entry = head.next
    while entry is not head:
        following = entry.next
        yield entry
        entry = following


def list_for_each_entry(head: ListHead, kind: type[T], member: str) -> Iterator[T]:
    """The structs of type `kind` that are linked into `head` by their field `member`."""
    for entry in list_for_each(head):
        yield container_of(entry, kind, member)


def list_first_entry(head: ListHead, kind: type[T], member: str) -> T:
    """The first struct on the list, which must not be empty."""
    return container_of(head.next, kind, member)
