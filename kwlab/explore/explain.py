"""A verdict explained: what was searched, why it failed, and the interleaving as a table with a lane for each task."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import zip_longest
from textwrap import wrap

from kwlab.explore.trace_format import Place, Step, TaskState, Trace
from kwlab.explore.why import why

__all__ = ["Explanation"]

WIDTH = 100  # columns of the plain text
ROWS = 32  # steps that are shown; of a longer interleaving the least telling are left out
LANE = 8  # widest lane
LEGEND = "# takes the step  | could run  z sleeps  . waits for lock or completion  ~ was preempted"


@dataclass(frozen=True, slots=True)
class Explanation:
    """`heading`, then `facts` (label and text), and the `trace` of the interleaving if there is one to show.

    ``str()`` is plain text, 100 columns wide; a notebook shows a table.
    """

    heading: str
    facts: Sequence[tuple[str, str]]
    trace: Trace | None = None

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        return str(self)

    def _lines(self) -> Iterator[str]:
        yield from wrap(self.heading, WIDTH)
        yield ""
        for label, text in self._all_facts():
            lead = f"{label:<13}"
            # A schedule is one word, however long: cut, it would be damaged.
            yield from wrap(text, WIDTH, initial_indent=lead, subsequent_indent=" " * 13, break_long_words=False) or [
                lead
            ]
        if self.trace is not None:
            yield ""
            yield from _table(self.trace)
            yield ""
            yield from _ends(self.trace)

    def _all_facts(self) -> list[tuple[str, str]]:
        reason = why(self.trace) if self.trace is not None else ""
        return [*([("why", reason)] if reason else []), *self.facts]

    def _repr_html_(self) -> str:
        facts = "".join(
            f"<tr><th scope='row' style='text-align:left'>{escape(label)}</th>"
            f"<td style='text-align:left'>{escape(text)}</td></tr>"
            for label, text in self._all_facts()
        )
        parts = [f"<p><b>{escape(self.heading)}</b></p><table>{facts}</table>"]
        if self.trace is not None:
            parts += [_html_table(self.trace), _html_ends(self.trace)]
        return "".join(parts)


# --------------------------------------------------------------------------------------------------- what is shown


def shown(trace: Trace, limit: int = ROWS) -> list[Step | int]:
    """The most telling steps in order; a number stands for so many that were left out."""
    steps = trace.steps[1:]
    if len(steps) > limit:
        by_weight = sorted(steps, key=lambda step: (-_weight(step, trace), -step.index))
        kept = {step.index for step in by_weight[:limit]}
    else:
        kept = {step.index for step in steps}
    rows: list[Step | int] = []
    for step in steps:
        if step.index in kept or (step.index - 1 in kept and step.index + 1 in kept):
            rows.append(step)  # "1 step left out" takes as much room as the step
        elif rows and isinstance(rows[-1], int):
            rows[-1] += 1
        else:
            rows.append(1)
    return rows


def _weight(step: Step, trace: Trace) -> int:
    """How much a step tells about the bug."""
    left = len(trace.steps) - 1 - step.index
    before = trace.steps[step.index - 1]
    weight = max(0, 12 - left) * 3 + max(0, 4 - step.index)
    weight += 40 * step.preemption
    weight += 12 * (step.task != before.task)
    weight += 12 * (step.index < len(trace.steps) - 1 and trace.steps[step.index + 1].preemption)
    weight += 10 * any(word in step.sentence for word in ("nothing happens", "links", "takes", "sleeps", "frees"))
    if step.place is not None and step.place.function in ("_kthread", "_parkme"):
        weight -= 30  # how every kthread begins
    return weight


def _where(place: Place | None) -> tuple[str, str]:
    """Where a step is taken, and the line of code there."""
    return ("", "") if place is None else (f"{place.file}:{place.line} {place.function}", place.text)


def _mark(task: TaskState | None, acts: bool) -> str:
    if acts:
        return "#"
    if task is None or task.doing in ("exited", "never woken", "idle"):
        return " "
    if task.doing.startswith("waits"):
        return "."
    return {"sleeps": "z", "preempted": "~", "failed": "!"}.get(task.doing, "|")


# ------------------------------------------------------------------------------------------------------- plain text


def _table(trace: Trace) -> Iterator[str]:
    lanes = [min(max(len(task.name), 2), LANE) for task in trace.tasks]
    left = 5 + sum(lane + 1 for lane in lanes) + 1
    what = (WIDTH - left) // 2
    where = WIDTH - left - what - 2
    heads = " ".join(f"{task.name[:lane]:^{lane}}" for task, lane in zip(trace.tasks, lanes, strict=True))
    yield f"{'step':>4} {heads}  {'what happens':<{what}}  where".rstrip()
    yield f"{'-' * 4} {' '.join('-' * lane for lane in lanes)}  {'-' * what}  {'-' * where}"
    for row in shown(trace):
        if isinstance(row, int):
            yield f"{'...':>4} {f'{row} steps left out':^{sum(lanes) + len(lanes) - 1}}".rstrip()
            continue
        marks = [_mark(row.state.tasks.get(task.id), task.id == row.task) for task in trace.tasks]
        lead = f"{row.index:>4} " + " ".join(f"{mark:^{lane}}" for mark, lane in zip(marks, lanes, strict=True))
        if row.preemption:
            yield f"---- {f' {trace.name_of(trace.steps[row.index - 1].task)} is preempted here ':-^{WIDTH - 5}}"
        sentence = row.sentence.partition(" is preempted here: ")[2] or row.sentence
        cells = zip_longest(
            [lead], wrap(sentence, what), [_clipped(text, where) for text in _where(row.place) if text], fillvalue=""
        )
        yield from (f"{start:<{left - 1}} {line:<{what}}  {place}".rstrip() for start, line, place in cells)
    yield f"     {LEGEND}"


def _clipped(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _ends(trace: Trace) -> Iterator[str]:
    yield "At the end:"
    for name, doing, place in _last_states(trace):
        yield from wrap(
            f"{name} {doing}{f', at {place}' if place else ''}", WIDTH, initial_indent="  ", subsequent_indent="    "
        )


def _last_states(trace: Trace) -> Iterator[tuple[str, str, str]]:
    for number, task in trace.steps[-1].state.tasks.items():
        held = f", holding {', '.join(task.held)}" if task.held else ""
        words = {"failed": "is where it fails", "could run": "could run", "idle": "has nothing to do"}
        doing = words.get(task.doing, task.doing)
        place = task.place
        at = "" if place is None else f"{place.file}:{place.line} in {place.function}(): {place.text}"
        yield trace.name_of(number), f"{doing}{held}", at


# ------------------------------------------------------------------------------------------------------------- HTML


def _html_table(trace: Trace) -> str:
    caption = f"The interleaving, step by step. {LEGEND}"
    heads = ["step", *(task.name for task in trace.tasks), "what happens", "where"]
    head = "".join(f"<th scope='col' style='text-align:left'>{escape(name)}</th>" for name in heads)
    body = []
    for row in shown(trace):
        if isinstance(row, int):
            body.append(f"<tr><td colspan='{len(heads)}' style='text-align:left'>... {row} steps left out</td></tr>")
            continue
        cells = [_html_mark(row, task.id) for task in trace.tasks]
        sentence, (at, code) = escape(row.sentence), _where(row.place)
        if row.preemption:
            sentence = f"<b>{sentence}</b>"
        body.append(
            f"<tr><th scope='row'>{row.index}</th>{''.join(cells)}<td style='text-align:left'>{sentence}</td>"
            f"<td style='text-align:left'>{escape(at)}<br><code>{escape(code)}</code></td></tr>"
        )
    return (
        f"<table><caption style='text-align:left'>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table>"
    )


def _html_mark(row: Step, number: int) -> str:
    task = row.state.tasks.get(number)
    doing = "takes this step" if number == row.task else "" if task is None else task.doing
    mark = _mark(task, number == row.task)
    return f"<td style='text-align:center' title='{escape(doing, quote=True)}'>{escape(mark)}</td>"


def _html_ends(trace: Trace) -> str:
    items = "".join(
        f"<li>{escape(name)} {escape(doing)}{f', at <code>{escape(place)}</code>' if place else ''}</li>"
        for name, doing, place in _last_states(trace)
    )
    return f"<p>At the end:</p><ul>{items}</ul>"
