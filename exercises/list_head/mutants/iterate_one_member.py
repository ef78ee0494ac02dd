"""The iteration always takes the member node, whichever was asked for."""

# caught by: test_the_structs_come_in_order


def list_for_each_entry_safe(head, kind, member):
    entry = head.next
    while entry is not head:
        following = entry.next
        yield container_of(entry, kind, "node")
        entry = following
