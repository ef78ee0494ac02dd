"""list_splice_tail_init moves the entries one by one."""

# caught by: test_splice_does_not_walk


def list_splice_tail_init(source, head):
    while source.next is not source:
        entry = source.next
        list_del_init(entry)
        list_add_tail(entry, head)
