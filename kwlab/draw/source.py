"""The source picture: the functions that run, and the line that each task is at."""

from collections.abc import Mapping, Sequence

from kwlab.draw.svg import LINE, Picture, Svg, clipped
from kwlab.explore.trace_format import Place, Source, Trace

__all__ = ["source_picture"]

AROUND = 4  # lines drawn before and behind a line that somebody is at
NUMBERS = 174  # where the text begins
WIDTH = 936
ROOM = 94  # characters of a line that are shown
GONE = ("exited", "never woken")


def source_picture(trace: Trace, at: int = -1) -> Picture:
    """Where the tasks stood after step `at` of `trace`: "▶" at the line that comes next, "✓" at what was just done."""
    step = trace.steps[at]
    marks: dict[tuple[str, str], dict[int, list[str]]] = {}
    if step.place is not None and step.task is not None:
        _mark(marks, step.place, f"✓ {trace.name_of(step.task)}")
    for number, task in step.state.tasks.items():
        if task.place is not None and task.doing not in GONE:
            _mark(marks, task.place, f"▶ {trace.name_of(number)}")
    pieces = [(key, _lines(trace.sources[key[0]][key[1]], lines), lines) for key, lines in sorted(marks.items())]
    svg = Svg(WIDTH, 16 + (sum(30 + LINE * len(lines) for _, lines, _ in pieces) or LINE))
    y = 8.0
    for (file, function), lines, marked in pieces:
        svg.text(8, y + 15, f"{file}   {function}()", "soft")
        y += 24
        _draw_lines(svg, y, trace.sources[file][function], lines, marked)
        y += LINE * len(lines) + 6
    if not pieces:
        svg.text(8, 24, "nobody is in any code that we have the source of", "soft")
    return svg.picture(_in_words(trace, at))


def _mark(marks: dict[tuple[str, str], dict[int, list[str]]], place: Place, words: str) -> None:
    marks.setdefault((place.file, place.function), {}).setdefault(place.line, []).append(words)


def _lines(source: Source, marked: Mapping[int, Sequence[str]]) -> list[int | None]:
    """Which lines are drawn: those around the marked ones; None stands for some that are left out."""
    last = source.first + len(source.lines) - 1
    near = [line for line in range(source.first, last + 1) if any(abs(line - one) <= AROUND for one in marked)]
    lines: list[int | None] = []
    for line in near:
        if lines and lines[-1] != line - 1:
            lines.append(None)
        lines.append(line)
    return lines


def _draw_lines(
    svg: Svg, top: float, source: Source, lines: Sequence[int | None], marked: Mapping[int, Sequence[str]]
) -> None:
    indent = min(
        (
            len(text) - len(text.lstrip())
            for line in lines
            if line and (text := source.lines[line - source.first]).strip()
        ),
        default=0,
    )
    for row, line in enumerate(lines):
        y = top + row * LINE + 13
        if line is None:
            svg.text(NUMBERS, y, "⋮", "soft")
            continue
        who = marked.get(line, ())
        if who:
            kind = "mark" if any(words[0] == "▶" for words in who) else "gap"
            svg.box(6, y - 14, WIDTH - 12, LINE, kind, title=", ".join(who))
            svg.text(12, y, clipped(" ".join(who), 15), "strong", title=", ".join(who))
        svg.text(NUMBERS - 10, y, str(line), "soft", "end")
        text = source.lines[line - source.first][indent:]
        svg.text(NUMBERS, y, clipped(text, ROOM), "strong" if who else "", title=text if len(text) > ROOM else "")


def _in_words(trace: Trace, at: int) -> str:
    step = trace.steps[at]
    said = []
    if step.place is not None and step.task is not None:
        said.append(f"{trace.name_of(step.task)} did {_at(step.place)}")
    for number, task in step.state.tasks.items():
        if task.place is not None and task.doing not in GONE:
            said.append(f"{trace.name_of(number)} is at {_at(task.place)}")
    return "; ".join(said) or "nobody is in any code that we have the source of"


def _at(place: Place) -> str:
    return f"{place.file}:{place.line} in {place.function}(): {place.text}"
