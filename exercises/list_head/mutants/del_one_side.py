"""list_del_init mends only the neighbour before the entry."""

# caught by: test_del_init_closes_the_gap


def list_del_init(entry):
    entry.prev.next = entry.next
    entry.next = entry.prev = entry
