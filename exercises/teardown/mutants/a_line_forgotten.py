"""exit_order leaves the interrupt out."""

# caught by: test_every_line_is_there_once


def exit_order():
    return "C E A B"
