"""What a trace shows of workers: when each ran what, how deep its queue was, how long its works waited."""

import math
from collections.abc import Mapping, Sequence

from kwlab.draw.axes import LEFT, Axes, seconds
from kwlab.draw.svg import LINE, Picture, Svg, clipped
from kwlab.trace.analysis import Analysis, WorkerSummary
from kwlab.trace.match import Run

__all__ = ["delays_picture", "depth_picture", "timeline_picture"]

WIDTH = 900
LANE = 46
MOST_LANES = 12
NARROW = 2.0  # pixels: runs that are narrower are drawn as one with their neighbours
DASHES = ("", "6 3", "1.5 4", "12 3 2 3")


def timeline_picture(analysis: Analysis) -> Picture:
    """A lane for each worker, with a box for each run; below it a tick where a work was queued."""
    workers = sorted(analysis.workers.values(), key=lambda worker: -worker.runs)[:MOST_LANES]
    svg = Svg(WIDTH, 60 + LANE * max(len(workers), 1))
    axes = Axes(svg, analysis.first, analysis.last, 1)
    said = []
    for number, worker in enumerate(workers):
        y = 26 + LANE * number
        runs = [run for run in analysis.runs if run.worker == worker.address]
        svg.text(4, y + 14, clipped(worker.name, 18))
        svg.path([(LEFT, y + 22), (LEFT + axes.width, y + 22)], "back")
        for first, last, count in _joined(runs, axes, analysis.last):
            title = _title(first) if count == 1 else f"{count} runs, the first is {_title(first)}"
            svg.box(axes.x(first.started), y, max(last - axes.x(first.started), 1.0), 18, "fill", title)
        for run in runs:
            if run.queued is not None:
                svg.path([(axes.x(run.queued.time), y + 24), (axes.x(run.queued.time), y + 30)])
        said.append(f"{worker.name}: {worker.runs} runs, busy {seconds(worker.time.total)}")
    ticks = _time_ticks(analysis)
    for value, words in ticks:
        svg.text(axes.x(value), svg.height - 8, words, "soft", "middle")
    what = "; ".join(said) or "no worker ran anything"
    return svg.picture(f"Runs of works over {seconds(analysis.last - analysis.first)}. {what}.")


def _joined(runs: Sequence[Run], axes: Axes, end: float) -> list[tuple[Run, float, int]]:
    """Runs as (first, right edge, how many): neighbours that would not be told apart are one."""
    boxes: list[tuple[Run, float, int]] = []
    for run in sorted(runs, key=lambda run: run.started):
        left, right = axes.x(run.started), axes.x(end if run.ended is None else run.ended)
        if boxes and left - boxes[-1][1] < NARROW and (right - left < NARROW or boxes[-1][2] > 1):
            first, _, count = boxes[-1]
            boxes[-1] = (first, right, count + 1)
        else:
            boxes.append((run, right, 1))
    return boxes


def _title(run: Run) -> str:
    time = "not ended" if run.time is None else f"ran {seconds(run.time)}"
    delay = (
        "" if run.delay is None else f", waited {seconds(run.delay)}, queued by {run.queued.by if run.queued else ''}"
    )
    return f"{run.function} on {run.thread}: {time}{delay}"


def depth_picture(worker: WorkerSummary, analysis: Analysis) -> Picture:
    """How many works waited for `worker`, over time."""
    svg = Svg(WIDTH, 190)
    axes = Axes(svg, analysis.first, analysis.last, worker.depth.most)
    points, depth = [(axes.x(analysis.first), axes.y(0))], 0
    for time, now in worker.depth.points:
        points += [(axes.x(time), axes.y(depth)), (axes.x(time), axes.y(now))]
        depth = now
    axes.frame("works waiting", _time_ticks(analysis), [(value, str(value)) for value in {0, worker.depth.most}])
    svg.path([*points, (axes.x(analysis.last), axes.y(depth))])
    return svg.picture(f"Works waiting for {worker.name} over time: at most {worker.depth.most}, at the end {depth}.")


def _time_ticks(analysis: Analysis) -> list[tuple[float, str]]:
    span = analysis.last - analysis.first
    return [(analysis.first + span * part / 4, seconds(span * part / 4)) for part in range(5)]


def delays_picture(delays: Mapping[str, Sequence[float]], what: str = "from queue to start") -> Picture:
    """For each name the times in seconds, as the share of works that waited no longer than that; x by powers of ten.

    A curve is told by its pattern, and by its name with the median in the legend.
    """
    series = {name: sorted(value for value in values if value > 0) for name, values in delays.items()}
    series = {name: values for name, values in series.items() if values}
    svg = Svg(WIDTH, 300 + LINE * len(series))
    low = min((values[0] for values in series.values()), default=1e-6)
    high = max((values[-1] for values in series.values()), default=1e-3)
    first, last = math.floor(math.log10(low)), max(math.ceil(math.log10(high)), math.floor(math.log10(low)) + 1)
    axes = Axes(svg, 10.0**first, 10.0**last, 1, log=True)
    axes.height = 300 - 74
    ticks = [(10.0**power, seconds(10.0**power)) for power in range(first, last + 1)]
    axes.frame(f"share of works, by time {what}", ticks, [(part, f"{part:.0%}") for part in (0, 0.5, 1)])
    said = []
    for number, (name, values) in enumerate(series.items()):
        dashes, y = DASHES[number % len(DASHES)], 290 + LINE * number
        svg.path(_shares(values, axes), "line", name, dashes)
        svg.path([(LEFT, y), (LEFT + 40, y)], "line", "", dashes)
        median, worst = values[len(values) // 2], values[-1]
        words = f"{name}: {len(values)} works, half within {seconds(median)}, the slowest {seconds(worst)}"
        svg.text(LEFT + 50, y + 4, words)
        said.append(words)
    return svg.picture(f"Times {what}. {'; '.join(said) or 'no work was queued and started'}.")


def _shares(values: Sequence[float], axes: Axes) -> list[tuple[float, float]]:
    step = max(len(values) // 300, 1)  # a picture of 300 points says the same
    places = [*range(0, len(values), step), len(values) - 1]
    return [(axes.x(values[place]), axes.y((place + 1) / len(values))) for place in places]
