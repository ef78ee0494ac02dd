"""Pictures of measurements: matplotlib finds the places, the pen's classes give the looks.

matplotlib's own colours, fonts and ids are taken away: what is left are paths and texts with the classes of
`kwlab.draw.svg`, so that a plot follows the reader's theme like every other picture, and is the same in every run.
"""

import io
import re
import xml.etree.ElementTree as ET
from html import escape
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kwlab.draw.svg import STYLE, Picture

__all__ = ["CLASSES", "axes", "plotted"]

# What to give matplotlib as a colour, for each class of the pen. They are only looked up again, never seen.
CLASSES = {"line": "#000001", "gap": "#000002", "mark": "#000003", "soft": "#000004", "box": "#000005", "": "#000006"}
_CLASS_OF = {colour: name for name, colour in CLASSES.items()}
# Words stay readable where a line of the grid passes behind them.
HALO = ".kwlab text{paint-order:stroke;stroke:var(--paper);stroke-width:5px;stroke-linejoin:round}"
_SVG = "{http://www.w3.org/2000/svg}"
_COLOUR = re.compile(r"(?:stroke|fill): (#00000\d)")
_DASHES = re.compile(r"stroke-dasharray: ([\d., ]+)")
_ANCHOR = re.compile(r"text-anchor: (\w+)")
_NUMBER = re.compile(r"\d+\.\d+")
_PLACE = re.compile(r"(?:translate|rotate)\(([-\d. ]+)\)")


def axes(width: int, height: int, margins: tuple[float, float, float, float]) -> tuple[Figure, Axes]:
    """A figure of so many pixels, with axes inside the `margins` (left, right, bottom, top; in pixels)."""
    left, right, bottom, top = margins
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    place = (left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height)
    ax = figure.add_axes(place)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.patch.set_visible(False)
    figure.patch.set_visible(False)
    ax.tick_params(which="both", length=0, labelcolor=CLASSES["soft"], labelsize=13, pad=6)
    ax.grid(True, which="major", color=CLASSES["gap"])
    ax.set_axisbelow(True)
    return figure, ax


def plotted(figure: Figure, label: str) -> Picture:
    """What was drawn, as a `Picture`. `label` says in words what it shows."""
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "kwlab"}), io.StringIO() as file:
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
        root = ET.fromstring(file.getvalue())
    width, height = (float(number) for number in root.attrib["viewBox"].split()[2:])
    parts = "".join(_drawn(one) for one in root.iter() if one.tag in (f"{_SVG}path", f"{_SVG}text"))
    svg = (
        f'<svg class="kwlab" xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(label)}" '
        f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}">'
        f"<style>{STYLE}{HALO}</style>{parts}</svg>"
    )
    return Picture(svg, label)


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}"


def _drawn(one: ET.Element) -> str:
    style: Any = one.attrib.get("style", "")
    colour = _COLOUR.search(style)
    if colour is None:
        return ""  # a clip path, or something of matplotlib's own that was not asked for
    name = _CLASS_OF[colour[1]]
    kind = f' class="{name}"' if name else ""
    if one.tag == f"{_SVG}path":
        dashes = _DASHES.search(style)
        dashed = f' stroke-dasharray="{dashes[1].replace(",", " ")}"' if dashes and name != "gap" else ""
        return f'<path{kind} d="{_NUMBER.sub(_rounded, " ".join(one.attrib["d"].split()))}"{dashed}/>'
    x, y = one.attrib.get("x"), one.attrib.get("y")
    if x is None or y is None:
        x, y = _PLACE.findall(one.attrib["transform"])[0].split()[-2:]
    anchor = _ANCHOR.search(style)
    anchored = f' text-anchor="{anchor[1]}"' if anchor and anchor[1] != "start" else ""
    return f'<text x="{float(x):.1f}" y="{float(y):.1f}"{kind}{anchored}>{escape(one.text or "")}</text>'
