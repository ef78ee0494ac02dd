"""list_empty looks for None, which is nowhere in a ring."""

# caught by: test_empty_tells_linked_from_unlinked


def list_empty(head):
    return head.next is None
