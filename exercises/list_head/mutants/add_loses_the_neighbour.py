"""list_add overwrites head.next before it has used it."""

# caught by: test_add_links_at_the_front


def list_add(new, head):
    head.next = new
    new.prev = head
    new.next = head.next
    head.next.prev = new
