"""A mark: the points of an answer, test by test, each with what was called, what came and what was expected.

The same text always gets an equal `Mark`: nothing in it depends on the clock, the machine or the order of a dict.
"""

import html
import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

from kwlab.grade.answer import marker

__all__ = ["Mark", "Problem", "Score"]

Outcome = Literal["passed", "failed", "todo", "not run"]
SIGNS: dict[str, str] = {"passed": "✓", "failed": "✗", "todo": "…", "not run": "–"}
WORDS: dict[str, str] = {"passed": "passed", "failed": "failed", "todo": "not written yet", "not run": "not run"}


@dataclass(frozen=True)
class Problem:
    """Why a part could not be graded at all: it does not parse, lacks a function, or uses what it may not.

    `absent`: there is no cell for it (yet), which is no fault of whoever is still at the part before.
    """

    part: int
    sentence: str
    absent: bool = False


@dataclass(frozen=True)
class Score:
    """One test. `caps`: failing it caps its part at half of the points. `evidence` is whatever a viewer can open."""

    name: str
    sentence: str
    part: int
    points: int
    maximum: int
    outcome: Outcome
    called: str = ""
    came: str = ""
    expected: str = ""
    message: str = ""
    printed: str = ""
    caps: bool = False
    evidence: Any = None

    def details(self) -> list[tuple[str, str]]:
        """What a learner needs to see of a test that gave no points: label and text."""
        if self.outcome == "passed":
            return []
        rows = [("called", self.called), ("came", self.came), ("expected", self.expected)]
        rows += [("because", self.message), ("printed", self.printed)]
        return [(label, text) for label, text in rows if text]


@dataclass(frozen=True)
class Mark:
    """The mark of one answer to one exercise. `digest` says which text it is the mark of."""

    exercise: str
    title: str
    digest: str
    parts: tuple[str, ...]
    scores: tuple[Score, ...]
    problems: tuple[Problem, ...] = ()
    remarks: tuple[str, ...] = ()

    def part_points(self, part: int) -> int:
        """The points of one part: what its tests gave, at most half if a test that caps the part failed."""
        scores = [score for score in self.scores if score.part == part]
        earned = sum(score.points for score in scores)
        if any(score.caps and score.outcome != "passed" for score in scores):
            return min(earned, self.part_maximum(part) // 2)
        return earned

    def part_maximum(self, part: int) -> int:
        return sum(score.maximum for score in self.scores if score.part == part)

    @property
    def points(self) -> int:
        return sum(self.part_points(part) for part in range(1, len(self.parts) + 1))

    @property
    def maximum(self) -> int:
        return sum(score.maximum for score in self.scores)

    @property
    def solved(self) -> bool:
        return bool(self.scores) and self.points == self.maximum

    def solved_parts(self) -> list[int]:
        numbers = range(1, len(self.parts) + 1)
        return [part for part in numbers if self.part_points(part) == self.part_maximum(part) > 0]

    def score(self, name: str) -> Score:
        """The score of the test called `name`; `KeyError` if there is none."""
        for score in self.scores:
            if score.name == name:
                return score
        raise KeyError(name)

    def player(self, test: str | None = None) -> Any:
        """The interleaving in which a test failed, to step through: of the test called `test`, or of the first that
        has one. Raises `LookupError` if there is none."""
        for score in self.scores:
            if score.evidence is not None and test in (None, score.name):
                from kwlab.explore.trace_format import Trace
                from kwlab.widgets.player import Player

                return Player(Trace.from_dict(score.evidence))
        raise LookupError(f"no interleaving to show {f'for {test}' if test else 'in this mark'}: nothing failed in one")

    def to_dict(self) -> dict[str, Any]:
        """For JSON: all fields, with the sums that a reader would ask for."""
        return asdict(self) | {"points": self.points, "maximum": self.maximum, "solved": self.solved}

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> "Mark":
        """What `to_dict` wrote."""
        return cls(
            exercise=table["exercise"],
            title=table["title"],
            digest=table["digest"],
            parts=tuple(table["parts"]),
            scores=tuple(Score(**score) for score in table["scores"]),
            problems=tuple(Problem(**problem) for problem in table["problems"]),
            remarks=tuple(table["remarks"]),
        )

    def _state(self, part: int) -> Outcome:
        """Of a part as a whole: not run if it has a problem, to do if nothing in it is written yet."""
        if part in {problem.part for problem in self.problems}:
            return "not run"
        outcomes = {score.outcome for score in self.scores if score.part == part}
        return outcomes.pop() if outcomes in ({"passed"}, {"todo"}) else "failed"

    def _heading(self, part: int) -> str:
        capped = sum(score.points for score in self.scores if score.part == part) > self.part_points(part)
        half = ", half at most: see the test that failed" if capped else ""
        points = f"{self.part_points(part)} of {self.part_maximum(part)}{half}"
        state = self._state(part)
        if part in {problem.part for problem in self.problems if problem.absent}:
            points = f'no cell that begins with "{marker(self.exercise, part)}" was run'
        elif state == "todo":
            points = WORDS[state]
        return f"{SIGNS[state]} Part {part}, {self.parts[part - 1]}: {points}"

    def _shown(self, part: int) -> list[Score]:
        """The tests of a part that a learner has to see one by one."""
        return [score for score in self.scores if score.part == part and self._state(part) == "failed"]

    def text(self) -> str:
        """The mark for a terminal."""
        lines = [f"{self.exercise}: {self.points} of {self.maximum} points"]
        lines += [f"  First: {fault}" for fault in self.faults()]
        for part in range(1, len(self.parts) + 1):
            lines.append(f"  {self._heading(part)}")
            for score in self._shown(part):
                lines.append(f"      {SIGNS[score.outcome]} {score.points}/{score.maximum} {score.sentence}")
                for label, text in score.details():
                    lines.append(f"            {label:>8}: " + text.replace("\n", "\n" + " " * 22))
        return "\n".join([*lines, *(f"  {line}" for line in (*self.remarks, self.next_step()))])

    def faults(self) -> list[str]:
        """What has to be mended before anything else, a sentence each."""
        return [problem.sentence for problem in self.problems if not problem.absent]

    def next_step(self) -> str:
        """What to do now, in one line."""
        if self.solved:
            return f'Solved. solution("{self.exercise}") shows how the course writes it.'
        if self.faults():
            return "Mend this first, then check again."
        watch = f'Watch it go wrong, step by step: check("{self.exercise}").player(). '
        shown = watch if any(score.evidence is not None for score in self.scores) else ""
        return f'{shown}Stuck? hint("{self.exercise}") helps a little, and a little more each time.'

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        rows = []
        for part in range(1, len(self.parts) + 1):
            rows.append(f'<tr><th colspan="3" style="text-align:left">{html.escape(self._heading(part))}</th></tr>')
            rows += [_row(score) for score in self._shown(part)]
        problems = "".join(f"<p><b>First:</b> {_with_code(fault)}</p>" for fault in self.faults())
        searched = "".join(f"<p>{html.escape(line)}</p>" for line in self.remarks)
        ends = f"<p>{html.escape(self.next_step())}</p>"
        if searched:
            ends += f"<details><summary>What this check searched, and how far</summary>{searched}</details>"
        return (
            f"<div><p><b>{html.escape(self.exercise)}: {self.points} of {self.maximum} points</b></p>{problems}"
            f'<table aria-label="points per test of {html.escape(self.exercise)}">{"".join(rows)}</table>{ends}</div>'
        )


def _row(score: Score) -> str:
    more = "".join(
        '<div style="padding-left:6em;text-indent:-6em">'
        f'<span style="display:inline-block;min-width:6em;text-indent:0">{label}</span>'
        f'<code style="white-space:pre-wrap">{html.escape(text)}</code></div>'
        for label, text in score.details()
    )
    outcome = f"{SIGNS[score.outcome]} {WORDS[score.outcome]}"
    return (
        f'<tr style="vertical-align:top"><td style="white-space:nowrap">{outcome}</td>'
        f'<td style="text-align:right">{score.points}/{score.maximum}</td>'
        f'<td style="text-align:left">{_with_code(score.sentence)}{more}</td></tr>'
    )


def _with_code(sentence: str) -> str:
    """As HTML, with what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(sentence))
