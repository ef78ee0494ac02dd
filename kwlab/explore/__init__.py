"""Explore every interleaving of a small concurrent program. Start reading at `kwlab/explore/check.py`."""

from kwlab.explore.check import check, join
from kwlab.explore.engine import Options
from kwlab.explore.problems import Bug
from kwlab.explore.replay import replay
from kwlab.explore.schedule import Schedule, ScheduleError
from kwlab.explore.stress import Stress, stress
from kwlab.explore.trace import Trace, record
from kwlab.explore.verdict import Verdict

__all__ = [
    "Bug",
    "Options",
    "Schedule",
    "ScheduleError",
    "Stress",
    "Trace",
    "Verdict",
    "check",
    "join",
    "record",
    "replay",
    "stress",
]
