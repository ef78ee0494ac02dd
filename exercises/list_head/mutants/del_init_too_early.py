"""list_del_init makes the entry point at itself first, and so loses its neighbours."""

# caught by: test_del_init_closes_the_gap


def list_del_init(entry):
    entry.next = entry.prev = entry
    entry.prev.next = entry.next
    entry.next.prev = entry.prev
