"""The iteration yields the list entries and not the structs around them."""

# caught by: test_the_structs_come_in_order


def list_for_each_entry_safe(head, kind, member):
    entry = head.next
    while entry is not head:
        following = entry.next
        yield entry
        entry = following
