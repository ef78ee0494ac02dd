"""The iteration begins at the head, which is in no struct."""

# caught by: test_an_empty_list_yields_nothing


def list_for_each_entry_safe(head, kind, member):
    entry = head
    while True:
        following = entry.next
        yield container_of(entry, kind, member)
        entry = following
        if entry is head:
            return
