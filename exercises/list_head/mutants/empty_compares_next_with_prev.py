"""list_empty takes a list of one entry for empty: there, too, next is prev."""

# caught by: test_empty_tells_linked_from_unlinked


def list_empty(head):
    return head.next is head.prev
