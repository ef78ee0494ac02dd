"""The iteration reads next after the caller had the entry: an unlinked one leads to itself for ever."""

# caught by: test_the_entry_in_hand_may_be_unlinked


def list_for_each_entry_safe(head, kind, member):
    entry = head.next
    while entry is not head:
        yield container_of(entry, kind, member)
        entry = entry.next
