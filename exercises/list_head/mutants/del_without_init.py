"""list_del_init leaves the entry pointing at its old neighbours: it can never be queued again."""

# caught by: test_del_init_leaves_the_entry_on_no_list


def list_del_init(entry):
    entry.prev.next = entry.next
    entry.next.prev = entry.prev
