"""list_del_init leaves None in the entry, as a Python programmer would."""

# caught by: test_del_init_leaves_the_entry_on_no_list


def list_del_init(entry):
    entry.prev.next = entry.next
    entry.next.prev = entry.prev
    entry.next = entry.prev = None
