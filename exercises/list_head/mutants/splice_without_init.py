"""list_splice_tail_init leaves the source pointing into the other list."""

# caught by: test_splice_leaves_the_source_empty


def list_splice_tail_init(source, head):
    if source.next is source:
        return
    first, last, tail = source.next, source.prev, head.prev
    tail.next = first
    first.prev = tail
    last.next = head
    head.prev = last
