"""list_splice_tail_init puts the entries before those that wait already."""

# caught by: test_splice_moves_all_in_order


def list_splice_tail_init(source, head):
    if source.next is source:
        return
    first, last, old = source.next, source.prev, head.next
    head.next = first
    first.prev = head
    last.next = old
    old.prev = last
    source.next = source.prev = source
