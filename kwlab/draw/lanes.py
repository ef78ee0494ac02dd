"""The lanes picture: one lane for each task, time from left to right, and why a task stopped.

A box is a step, with a letter for its operation; the line between two boxes says what the task did meanwhile. Of a
long trace only a stretch is drawn.
"""

from collections.abc import Iterator, Sequence
from textwrap import wrap

from kwlab.draw.svg import LINE, Picture, Svg, clipped
from kwlab.explore.trace_format import Step, TaskState, Trace

__all__ = ["lanes_picture", "window"]

STEPS = 32  # columns drawn
COLUMN, LANE, BOX = 24, 44, 20  # pixels: from step to step, from lane to lane, a step's box
LEFT, TOP = 132, 34  # where the first step and the first lane begin
WIDTH = LEFT + STEPS * COLUMN + 16
LETTER = 6.7  # width of a small letter

# The letter in the box of an operation (`kwlab.runtime.model_ops`).
LETTERS = {
    "lock": "L",
    "schedule": "Z",
    "wait": "W",
    "device": "T",
    "set_current_state": "A",
    "__set_current_state": "S",
    "read state": "G",
    "wake_up": "!",
    "test_bit": "?",
    "set_bit": "F",
    "complete": "C",
    "completion_done": "D",
    "jiffies": "J",
    "program_timer": "P",
    "read": "r",
    "write": "w",
    "exit": "X",
    # the events of a recorded trace (`kwlab.explore.from_events`)
    "queue_work": "q",
    "execute_start": "(",
    "execute_end": ")",
    "enqueue_task": "↑",
    "switch": "Z",
}
# What a task does while others act: how its line is drawn, one letter for where the word does not fit.
PAUSES = {
    "could run": ("line", ""),
    "preempted": ("ready", "p"),
    "slept": ("asleep", "z"),
    "blocked on a lock": ("blocked", "l"),
    "waited": ("back", "w"),
    "not woken yet": ("asleep", "n"),
}
STYLE = (
    ".kwlab .small{font-size:11px}"
    ".kwlab .rule{fill:none;stroke:var(--soft);stroke-width:.5}"
    ".kwlab .ready{fill:none;stroke:var(--ink);stroke-width:1.3;stroke-dasharray:14 3 2 3}"
    ".kwlab .asleep{fill:none;stroke:var(--soft);stroke-width:2;stroke-dasharray:1 5;stroke-linecap:round}"
    ".kwlab .blocked{fill:none;stroke:var(--ink);stroke-width:4;stroke-dasharray:10 3}"
    ".kwlab .held{fill:none;stroke:var(--mark);stroke-width:3}"
    ".kwlab .now{fill:none;stroke:var(--mark);stroke-width:2}"
)


def window(steps: int, at: int | None, shown: int = STEPS) -> range:
    """Which of the steps 1 to `steps` are drawn when `at` is looked at (None: the end)."""
    first = max(1, min((steps if at is None else at) - shown * 2 // 3, steps - shown + 1))
    return range(first, min(steps, first + shown - 1) + 1)


def lanes_picture(trace: Trace, at: int | None = None) -> Picture:
    """The lanes of `trace`, step `at` framed; without it the whole, or the end of it."""
    last = len(trace.steps) - 1
    shown = window(last, at)
    tasks = [task.id for task in trace.tasks if task.id in trace.steps[shown[-1] if shown else 0].state.tasks]
    used: dict[str, str] = {}
    bug = _bug(trace) if shown and shown[-1] == last else []
    bottom = TOP + len(tasks) * LANE
    svg = Svg(WIDTH, bottom + 42 + LINE * len(bug), STYLE)
    _draw_frame(svg, trace, shown, at, tasks)
    for row, task in enumerate(tasks):
        _draw_lane(svg, TOP + row * LANE + LANE / 2, trace, task, tasks, shown, used)
    for number in shown:
        _draw_wakeup(svg, trace, number, tasks, _x(number, shown))
    _draw_legend(svg, bottom + 8, used, [trace.steps[number] for number in shown])
    for row, words in enumerate(bug):
        svg.text(8, bottom + 54 + row * LINE, words, "strong")
    return svg.picture(_in_words(trace, at, shown))


def _bug(trace: Trace) -> list[str]:
    """What went wrong, in lines that fit."""
    if trace.bug is None:
        return []
    return wrap(f"✗ {trace.bug.kind}: {trace.bug.sentence}", 112, max_lines=3, placeholder=" …")


def _x(number: int, shown: range) -> float:
    return LEFT + (number - shown[0]) * COLUMN


def _draw_frame(svg: Svg, trace: Trace, shown: range, at: int | None, tasks: Sequence[int]) -> None:
    bottom = TOP + len(tasks) * LANE
    for row, task in enumerate(tasks):
        y = TOP + row * LANE
        if row:
            svg.line(8, y, WIDTH - 8, y, "rule")
        svg.text(8, y + LANE / 2 + 5, clipped(trace.name_of(task), 14), "strong", title=trace.name_of(task))
    if not shown:
        svg.text(LEFT, TOP + 24, "nothing has happened yet", "soft")
        return
    for number in shown:
        if number % 5 == 0 or number in (at, shown[0]):
            svg.text(_x(number, shown) + COLUMN / 2, TOP - 18, str(number), "small", "middle")
        if trace.steps[number].preemption:
            x = _x(number, shown)
            svg.line(x, TOP - 12, x, bottom, "back")
            before = trace.name_of(trace.steps[number - 1].task)
            svg.text(x, TOP - 3, "▾", "small", "middle", title=f"{before} is preempted here")
    if shown[0] > 1:
        svg.text(8, TOP - 18, f"… {shown[0] - 1} earlier", "soft")
    if at is not None and at in shown:
        svg.box(_x(at, shown), TOP - 14, COLUMN, bottom - TOP + 16, "now", title=f"step {at}")


def _draw_lane(
    svg: Svg, y: float, trace: Trace, task: int, tasks: Sequence[int], shown: range, used: dict[str, str]
) -> None:
    for pause, first, end in _pauses(trace, task, shown):
        kind, letter = PAUSES[pause]
        x0, x1 = _x(first, shown), _x(end, shown)
        svg.line(x0 + 3, y, x1 - 3, y, kind)
        used[pause] = kind
        if pause == "could run":
            continue
        words = pause if len(pause) * LETTER < x1 - x0 else letter
        doing = trace.steps[first].state.tasks[task].doing
        title = f"{trace.name_of(task)} {pause}, steps {first} to {end - 1}: {doing}"
        svg.text(x0 + 3, y + (13 if _from_above(trace, task, first, end, tasks) else -6), words, "small", title=title)
    for number in shown:
        step = trace.steps[number]
        x = _x(number, shown)
        if step.task == task:
            kind = "mark" if step.preemption else "box"
            svg.box(x + 2, y - BOX / 2, BOX, BOX, kind, title=f"step {number}: {step.sentence}")
            svg.text(x + 2 + BOX / 2, y + 5, LETTERS.get(step.op, "·"), "", "middle", title=_done(step))
        state = step.state.tasks.get(task)
        if state is not None and state.held:
            svg.line(x, y + 15, x + COLUMN, y + 15, "held")
            used["holds a lock"] = "held"


def _from_above(trace: Trace, task: int, first: int, end: int, tasks: Sequence[int]) -> bool:
    """Whether a wake-up of `task` comes down to its lane between steps `first` and `end`: then words stand below."""
    above = tasks[: tasks.index(task)]
    return any(
        step.op == "wake_up" and step.target == trace.tasks[task].name and step.task in above
        for step in trace.steps[first:end]
    )


def _done(step: Step) -> str:
    where = f" ({step.place.file}:{step.place.line}: {step.place.text})" if step.place else ""
    return f"step {step.index}: {step.op}{f' {step.target}' if step.target else ''}{where}"


def _pauses(trace: Trace, task: int, shown: range) -> Iterator[tuple[str, int, int]]:
    """What `task` did while others acted: in words, the first step and the one behind the last."""
    pause, first = "", shown.start
    for number in shown:
        step = trace.steps[number]
        now = "" if step.task == task else _pause(step.state.tasks.get(task))
        if now != pause:
            if pause:
                yield pause, first, number
            pause, first = now, number
    if pause:
        yield pause, first, shown.stop


def _pause(state: TaskState | None) -> str:
    doing = state.doing if state is not None else ""
    for beginning, pause in (
        ("preempted", "preempted"),
        ("sleeps", "slept"),
        ("never woken", "not woken yet"),
        ("waits for lock", "blocked on a lock"),
        ("waits", "waited"),
        ("could run", "could run"),
        ("runs", "could run"),
        ("armed", "could run"),
    ):
        if doing.startswith(beginning):
            return pause
    return ""


def _draw_wakeup(svg: Svg, trace: Trace, number: int, tasks: Sequence[int], x: float) -> None:
    """An arrow from who woke to who was woken; dashed, with a cross, where it changed nothing."""
    step = trace.steps[number]
    woken = next((task.id for task in trace.tasks if task.name == step.target and task.id in tasks), None)
    if step.op != "wake_up" or step.task not in tasks or woken is None or woken == step.task:
        return
    start, end = tasks.index(step.task), tasks.index(woken)
    down = 1 if end > start else -1
    y0, y1 = (TOP + row * LANE + LANE / 2 for row in (start, end))
    before = trace.steps[number - 1].state.tasks.get(woken)
    changed = before is not None and before.state != "R"
    middle = x + COLUMN / 2
    svg.arrow((middle, y0 + down * BOX / 2), (middle, y1 - down * 8), kind="line" if changed else "back")
    if not changed:
        title = f"this wake-up changed nothing: {step.target} was running, and nobody keeps a wake-up"
        svg.text(middle + 4, y1 - down * 14 + 4, "✗", "small", title=title)


def _draw_legend(svg: Svg, y: float, used: dict[str, str], steps: Sequence[Step]) -> None:
    letters = {LETTERS[step.op]: step.op for step in steps if step.op in LETTERS}
    _spread(svg, y + 12, [(letter, "", words) for letter, words in letters.items()])
    pauses = [("", kind, words) for words, kind in used.items()]
    if any(step.preemption for step in steps):
        pauses.append(("▾", "", "preempted, and the framed step ran instead"))
    _spread(svg, y + 29, pauses)


def _spread(svg: Svg, y: float, entries: Sequence[tuple[str, str, str]]) -> None:
    x = 8.0
    for letter, kind, words in entries:
        if kind:
            svg.line(x, y - 4, x + 26, y - 4, kind)
            x += 32
        else:
            svg.text(x, y, letter, "small strong")
            x += 12
        svg.text(x, y, words, "small")
        x += LETTER * len(words) + 16


def _in_words(trace: Trace, at: int | None, shown: range) -> str:
    last = len(trace.steps) - 1
    if at:
        step = trace.steps[at]
        return f"step {at} of {last}: {step.sentence}"
    turns: list[list[int]] = []
    for number in shown:
        if turns and trace.steps[number].task == trace.steps[turns[-1][0]].task:
            turns[-1][1] = number
        else:
            turns.append([number, number])
    parts = [f"{first}{f'-{end}' if end > first else ''} {_turn(trace, first)}" for first, end in turns]
    words = f"lanes of {len(trace.tasks)} tasks, {last} steps: {', '.join(parts) or 'nothing has happened yet'}"
    if trace.bug is not None:
        words += f". {trace.bug.kind}: {trace.bug.sentence}"
    return words


def _turn(trace: Trace, first: int) -> str:
    step = trace.steps[first]
    return trace.name_of(step.task) + (" (preemption)" if step.preemption else "")
