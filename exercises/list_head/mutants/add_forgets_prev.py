"""list_add sets three of the four pointers: the old first entry still points back at the head."""

# caught by: test_add_links_at_the_front


def list_add(new, head):
    new.next = head.next
    new.prev = head
    head.next = new
