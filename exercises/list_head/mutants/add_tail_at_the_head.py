"""list_add_tail links behind the head, as list_add does."""

# caught by: test_add_tail_links_at_the_tail


def list_add_tail(new, head):
    before, after = head, head.next
    after.prev = new
    new.next = after
    new.prev = before
    before.next = new
