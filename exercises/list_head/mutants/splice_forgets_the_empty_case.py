"""list_splice_tail_init links the empty source itself into the list."""

# caught by: test_splice_of_nothing_changes_nothing


def list_splice_tail_init(source, head):
    first, last, tail = source.next, source.prev, head.prev
    tail.next = first
    first.prev = tail
    last.next = head
    head.prev = last
    source.next = source.prev = source
