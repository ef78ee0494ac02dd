"""`check`, the one word a learner needs: is this right?"""

from typing import Any

from kwlab.grade import check_exercise

__all__ = ["check"]


def check(what: object, *arguments: Any, **options: Any) -> Any:
    """Check an exercise, ``check("list_head")``: grades the cells of this notebook, returns its `Mark`.

    Raises `TypeError` for anything but the name of an exercise.
    """
    if isinstance(what, str):
        return check_exercise(what, *arguments, **options)
    raise TypeError(f'check() takes the name of an exercise, as in check("list_head"), not {what!r}')
