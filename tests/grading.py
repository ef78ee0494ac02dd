"""What the tests of grading share: marks of changed answers, and an exercise without the first wall."""

import atexit
from pathlib import Path
from typing import Any

from kwlab.grade.answer import Answer
from kwlab.grade.exercise import Exercise, find, load
from kwlab.grade.mark import Mark
from kwlab.grade.reference import reference_answer
from kwlab.grade.warm import PATIENT, WarmReferee

OPEN_TOML = """
id = "open"
title = "An exercise that lets an answer import what it likes"
order = 1
minutes = 1
given = []

[imports]
{imports}

[limits]
processes = {processes}

[[parts]]
title = "the hostile one"
functions = ["hostile"]
points = 10
hints = ["1", "2", "3"]

[[parts]]
title = "the honest one"
functions = ["honest"]
points = 5
hints = ["1", "2", "3"]
"""
MODULES = "builtins collections ctypes gc os resource signal socket struct sys threading time".split()
OPEN_PROBE = """
def ask(answer, function):
    return answer[function]()
"""
OPEN_GRADER = '''
from kwlab.grade.testing import expect, points


@points(10, part=1)
def test_hostile(answer):
    """It returns 42."""
    expect(called="hostile()", came=answer.probe("ask", "hostile", called="hostile()"), expected=42)


@points(5, part=2)
def test_honest(answer):
    """It returns 7."""
    expect(called="honest()", came=answer.probe("ask", "honest", called="honest()"), expected=7)
'''
HONEST = "# open, part 2\ndef honest():\n    return 7\n"


def open_exercise(folder: Path, processes: int = 0) -> Exercise:
    """An exercise whose allow-list lets everything through, so that what stands behind it is seen at work."""
    (folder / "exercise.toml").write_text(
        OPEN_TOML.format(imports="\n".join(f'{name} = ["*"]' for name in MODULES), processes=processes)
    )
    (folder / "probe.py").write_text(OPEN_PROBE)
    (folder / "grader.py").write_text(OPEN_GRADER)
    return load(folder)


def open_answer(body: str, top: str = "") -> Answer:
    """An answer whose `hostile` has this body, and whose first cell begins with the lines `top`."""
    imports = f"import {', '.join(MODULES)}\n"
    lines = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
    return Answer("open", {1: f"# open, part 1\n{imports}{top}\ndef hostile():\n{lines}", 2: HONEST})


def list_head(**replaced: str) -> Answer:
    """The reference of list_head with the functions of these names replaced by these texts."""
    parts = dict(reference_answer(find("list_head")).parts)
    for name, text in replaced.items():
        (part,) = [number for number, source in parts.items() if f"def {name}(" in source]
        before, rest = parts[part].split(f"def {name}(", 1)
        after = rest.split("\n\n\n", 1)[1:]
        parts[part] = before + text.strip("\n") + "\n\n\n" + "".join(after)
    return Answer("list_head", parts)


def mark_of(**replaced: str) -> Mark:
    """The mark of `list_head(**replaced)`."""
    return warm_grade(find("list_head"), list_head(**replaced))


_referee = WarmReferee()
atexit.register(_referee.close)


def warm_grade(
    exercise: Exercise, answer: Answer, *, seed: str = "", hard_stop: float = PATIENT, **options: Any
) -> Mark:
    """As `kwlab.grade.run.grade`, from a fork of one referee, in a quarter of the time."""
    return _referee.grade(exercise, answer, seed=seed, hard_stop=hard_stop, **options)
