"""`check`, the one word a learner needs: is this right?"""

from typing import Any

from kwlab.explore import check as check_scenario
from kwlab.grade import check_exercise

__all__ = ["check"]


def check(what: object, *arguments: Any, **options: Any) -> Any:
    """Check an exercise, ``check("list_head")``, or a scenario, ``check(my_scenario)``.

    An exercise: grades the cells of this notebook, returns its `Mark`. A scenario, a function without arguments:
    searches its interleavings, returns a `Verdict` that says what was searched (see `kwlab.explore.check`).
    Raises `TypeError` for anything else.
    """
    if isinstance(what, str):
        return check_exercise(what, *arguments, **options)
    if callable(what):
        return check_scenario(what, *arguments, **options)
    raise TypeError(f'check() takes the name of an exercise, as in check("list_head"), or a scenario, not {what!r}')
