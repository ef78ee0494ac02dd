"""exit_order frees the interrupt after the worker is gone."""

# caught by: test_the_order_is_safe


def exit_order():
    return "C E A D B"
