"""Graded exercises: what a learner's answer is, how it is run, and what mark it gets.

One path for everybody: `check("name")` in a notebook, ``kwlab grade`` on the command line and CI all collect the
answer as text and hand it to `grade`, which gives the same `Mark` for the same text.

Where to read: `exercise` (what an exercise folder holds), `answer` (where the text comes from), `run` and `referee`
(who decides, and what an answer cannot do about it), `box`, `inside` and `limits` (where the answer runs).
"""

from kwlab.grade.session import check_exercise, hint, reset, solution

__all__ = ["check_exercise", "hint", "reset", "solution"]
