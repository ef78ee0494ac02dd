"""Both treat an empty list as a special case, and set only half of its pointers there."""

# caught by: test_add_to_an_empty_list


def list_add(new, head):
    if head.next is head:
        head.next = new
        new.prev = head
        return
    head.next.prev = new
    new.next = head.next
    new.prev = head
    head.next = new


def list_add_tail(new, head):
    if head.next is head:
        head.prev = new
        new.next = head
        return
    list_add(new, head.prev)
