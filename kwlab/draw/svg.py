"""The pen: a few shapes, and a `Picture` that a notebook shows and nbval compares.

Colours are JupyterLab's own variables, so a picture is readable in its light and its dark theme; outside JupyterLab the
reader's preference decides. No colour carries a meaning that shape or text does not carry too.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["LINE", "SHOWN", "Picture", "Svg", "clipped", "elided"]

LINE = 18  # pixels from one line of text to the next
SHOWN = 6  # nodes of a list that are drawn; longer lists lose their middle
HEAD = 7  # length of an arrow's head

# Repeated in every picture, which must stand alone; every rule is inside the class, so that the page keeps its own.
STYLE = (
    ".kwlab{--ink0:#1f2328;--soft0:#6b7280;--paper0:#fff;--fill0:#eef2f7;--mark0:#1565c0;"
    "--ink:var(--jp-content-font-color1,var(--ink0));--soft:var(--jp-content-font-color2,var(--soft0));"
    "--paper:var(--jp-layout-color0,var(--paper0));--fill:var(--jp-layout-color2,var(--fill0));"
    "--mark:var(--jp-brand-color1,var(--mark0));max-width:100%;height:auto}"
    "@media(prefers-color-scheme:dark)"
    "{.kwlab{--ink0:#e6e8eb;--soft0:#9aa4b2;--paper0:#111418;--fill0:#262c35;--mark0:#64b5f6}}"
    ".kwlab text{fill:var(--ink);font:13px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace}"
    ".kwlab .soft{fill:var(--soft)}.kwlab .strong{font-weight:bold}"
    ".kwlab .box{fill:var(--paper);stroke:var(--ink);stroke-width:1.2}"
    ".kwlab .fill{fill:var(--fill);stroke:var(--ink);stroke-width:1.2}"
    ".kwlab .mark{fill:var(--paper);stroke:var(--mark);stroke-width:2.5}"
    ".kwlab .gap{fill:none;stroke:var(--soft);stroke-width:1.2;stroke-dasharray:4 3}"
    ".kwlab .line{fill:none;stroke:var(--ink);stroke-width:1.3}"
    ".kwlab .back{fill:none;stroke:var(--soft);stroke-width:1.2;stroke-dasharray:5 3}"
    ".kwlab .head{fill:var(--ink)}.kwlab .backhead{fill:var(--soft)}"
)


class Picture:
    """An SVG with the words that say the same: what a screen reader reads, and what a terminal prints."""

    def __init__(self, svg: str, label: str) -> None:
        self.svg = svg
        self.label = label

    def __repr__(self) -> str:
        return self.label

    @property
    def still(self) -> str:
        """The picture as HTML for where nobody trusts us: in a notebook that was not run here an <svg> is taken away.

        Pictures of their own do not see the page's theme, so this one brings its paper. What is HTML already stays.
        """
        if not self.svg.startswith("<svg"):
            return self.svg
        paper = '</style><rect width="100%" height="100%" style="fill:var(--paper)"/>'
        encoded = b64encode(self.svg.replace("</style>", paper, 1).encode()).decode()
        return f'<img alt="{escape(self.label)}" src="data:image/svg+xml;base64,{encoded}">'

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Mapping[str, str]:
        # Inline HTML, not image/svg+xml: JupyterLab puts the latter into an <img>, which its theme does not reach.
        return {"text/plain": self.label, "text/html": self.svg}


class Svg:
    """A drawing in the making: `width` by `height` pixels, the origin at the top left."""

    def __init__(self, width: int, height: int, style: str = "") -> None:
        """`style`: rules of one kind of picture alone, each beginning with ``.kwlab``."""
        self.width, self.height = width, height
        self._style = STYLE + style
        self._parts: list[str] = []

    def picture(self, label: str) -> Picture:
        """The drawing, finished. `label` says in words everything that it shows."""
        svg = (
            f'<svg class="kwlab" xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(label)}" '
            f'width="{self.width}" height="{self.height}" viewBox="0 0 {self.width} {self.height}">'
            f"<style>{self._style}</style>{''.join(self._parts)}</svg>"
        )
        return Picture(svg, label)

    def box(self, x: float, y: float, width: float, height: float, kind: str = "box", title: str = "") -> None:
        """A rectangle. `kind`: box, fill, mark (thick), gap (dashed)."""
        inside = f"<title>{escape(title)}</title>" if title else ""
        self._parts.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="4">{inside}</rect>'
        )

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "start", title: str = "") -> None:
        """Words whose baseline starts (or has its middle, or ends) at x, y. `title` is shown on hover."""
        more = f' class="{kind}"' if kind else ""
        more += f' text-anchor="{anchor}"' if anchor != "start" else ""
        inside = f"<title>{escape(title)}</title>" if title else ""
        self._parts.append(f'<text x="{x:g}" y="{y:g}"{more} xml:space="preserve">{escape(words)}{inside}</text>')

    def arrow(self, *points: tuple[float, float], kind: str = "line") -> None:
        """A line through `points` with a head at the last; `kind`: line, or back (dashed). Its last leg is straight."""
        (x0, y0), (x1, y1) = points[-2:]
        dx, dy = (x1 > x0) - (x1 < x0), (y1 > y0) - (y1 < y0)
        path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
        left, right = (
            (x1 - HEAD * dx - 4 * dy, y1 - HEAD * dy - 4 * dx),
            (x1 - HEAD * dx + 4 * dy, y1 - HEAD * dy + 4 * dx),
        )
        head = "backhead" if kind == "back" else "head"
        self._parts.append(
            f'<path class="{kind}" d="{path}"/>'
            f'<path class="{head}" d="M{x1:g} {y1:g}L{left[0]:g} {left[1]:g}L{right[0]:g} {right[1]:g}Z"/>'
        )

    def path(
        self, points: Iterable[tuple[float, float]], kind: str = "line", title: str = "", dashes: str = ""
    ) -> None:
        """A line through `points`, without a head; `dashes`: lengths of its strokes and gaps ("6 3")."""
        places = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        inside = f"<title>{escape(title)}</title>" if title else ""
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self._parts.append(f'<path class="{kind}" d="{places}"{dashed}>{inside}</path>')

    def line(self, x0: float, y0: float, x1: float, y1: float, kind: str = "line") -> None:
        """A line without a head."""
        self._parts.append(f'<path class="{kind}" d="M{x0:g} {y0:g}L{x1:g} {y1:g}"/>')

    def dot(self, x: float, y: float) -> None:
        """Where a pointer starts."""
        self._parts.append(f'<circle class="head" cx="{x:g}" cy="{y:g}" r="3.5"/>')


def clipped(words: str, limit: int) -> str:
    """At most `limit` characters of `words`; the last is an ellipsis where some are missing."""
    return words if len(words) <= limit else words[: limit - 1] + "…"


def elided(items: Sequence[Any], limit: int = SHOWN) -> tuple[Sequence[Any], int, Sequence[Any]]:
    """The first of `items`, how many are left out, and the last: `limit` places, one of them for what is left out."""
    if len(items) <= limit:
        return items, 0, ()
    return items[: limit - 3], len(items) - (limit - 1), items[-2:]
