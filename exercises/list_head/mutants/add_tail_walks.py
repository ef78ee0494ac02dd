"""list_add_tail walks to the tail, which the head points at anyway."""

# caught by: test_add_does_not_walk


def list_add_tail(new, head):
    last = head
    while last.next is not head:
        last = last.next
    last.next = new
    new.prev = last
    new.next = head
    head.prev = new
