"""not_needed names the timer."""

# caught by: test_the_line_is_not_needed


def not_needed():
    return "C"
