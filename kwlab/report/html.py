"""The report of a trace as one HTML file that needs nothing else."""

from collections.abc import Iterable, Sequence
from html import escape

from kwlab.draw.axes import seconds
from kwlab.draw.workers import delays_picture, depth_picture, timeline_picture
from kwlab.report.tables import (
    FUNCTION_HEADS,
    SLOW_HEADS,
    WORKER_HEADS,
    function_rows,
    notes,
    slow_rows,
    worker_rows,
)
from kwlab.trace.analysis import Analysis
from kwlab.trace.reader import Counts

__all__ = ["html_report"]

DEPTHS = 5  # workers whose depth is drawn
STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em}"
    "table{border-collapse:collapse;display:block;overflow-x:auto}"
    "th,td{text-align:left;padding:.2em .8em .2em 0;border-bottom:1px solid #8885;white-space:nowrap}"
    "figure{margin:1em 0;overflow-x:auto}"
)


def html_report(analysis: Analysis, counts: Counts, title: str) -> str:
    """The whole page. Everything from the trace is escaped: names in a trace are anybody's."""
    delays = {worker.name: worker.delay.values for worker in analysis.workers.values() if worker.delay.count}
    busiest = sorted(analysis.workers.values(), key=lambda worker: -worker.runs)[:DEPTHS]
    pictures = [timeline_picture(analysis), delays_picture(dict(list(delays.items())[:4]))]
    pictures += [depth_picture(worker, analysis) for worker in busiest if worker.depth.points]
    figures = "".join(f"<figure>{one.svg}<figcaption>{escape(one.label)}</figcaption></figure>" for one in pictures)
    lead = f"{seconds(analysis.last - analysis.first)}. {counts}."
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
        f"<h1>{escape(title)}</h1><p>{escape(lead)}</p>"
        f"<h2>Workers</h2>{_table(WORKER_HEADS, worker_rows(analysis))}{figures}"
        f"<h2>Functions</h2>{_table(FUNCTION_HEADS, function_rows(analysis))}"
        f"<h2>Who waited longest</h2>{_table(SLOW_HEADS, slow_rows(analysis))}"
        f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in notes(analysis))}</ul></html>\n"
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
