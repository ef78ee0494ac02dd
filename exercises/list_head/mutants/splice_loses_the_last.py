"""list_splice_tail_init never lets the last entry point at the head."""

# caught by: test_splice_moves_all_in_order


def list_splice_tail_init(source, head):
    if source.next is source:
        return
    first, last, tail = source.next, source.prev, head.prev
    tail.next = first
    first.prev = tail
    last.prev.next = head
    head.prev = last.prev
    source.next = source.prev = source
