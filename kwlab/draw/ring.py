"""The list picture: ListHeads and where their `next` and `prev` point, damaged rings included.

`next` runs above, solid; `prev` runs below, dashed. What each points at also stands in the box, as text.
"""

from collections.abc import Mapping
from typing import Any

from kwlab.draw.svg import Picture, Svg, clipped, elided
from kwlab.listhead import ListHead

__all__ = ["list_picture"]

BOX, GAP, TALL = 96, 34, 74
LEFT, TOP = 14, 56
LEVEL = 11  # pixels between two arrows that pass over boxes
MOST = 10_000  # entries followed, so that a ring that never closes ends


def list_picture(head: ListHead, **entries: ListHead) -> Picture:
    """The ring that starts at `head`, then those of `entries` that are on no list. `entries` gives them names.

    An entry without a name is called after the function of the work that it is in, or gets a number.
    """
    ring = _ring(head)
    names = {id(head): "head"} | {id(entry): name for name, entry in entries.items()}
    for number, linked in enumerate(ring):
        names.setdefault(id(linked), _name_of(linked, number))
    alone = [entry for entry in entries.values() if not any(entry is one for one in ring)]
    first, left_out, last = elided(ring, 7)
    boxes: list[ListHead | int] = [*first, *([left_out] if left_out else []), *last, *alone]

    svg = Svg(2 * LEFT + len(boxes) * BOX + (len(boxes) - 1) * GAP, TOP + TALL + 44)
    places = {id(entry): number for number, entry in enumerate(boxes) if not isinstance(entry, int)}
    for number, entry in enumerate(boxes):
        x = LEFT + number * (BOX + GAP)
        if isinstance(entry, int):
            svg.box(x, TOP, BOX, TALL, "gap")
            svg.text(x + BOX / 2, TOP + TALL / 2 + 5, f"{entry} more", "soft", "middle")
            _point(svg, number, number + 1, True, 1)
            _point(svg, number, number - 1, False, 1)
            continue
        svg.box(x, TOP, BOX, TALL, "mark" if entry is head else "box")
        svg.text(x + BOX / 2, TOP + 19, clipped(names[id(entry)], 10), "strong", "middle")
        svg.text(x + 8, TOP + 42, f"next {_called(entry.next, names, 6)}")
        svg.text(x + 8, TOP + 62, f"prev {_called(entry.prev, names, 6)}", "soft")
        beside_gap = left_out and (number == len(first) - 1, number == len(first) + 1)
        forward = number + 1 if beside_gap and beside_gap[0] else places.get(id(entry.next))
        backward = number - 1 if beside_gap and beside_gap[1] else places.get(id(entry.prev))
        _point(svg, number, forward, True, 1 + (number > 0))
        _point(svg, number, backward, False, 1 + (number > 0))
    return svg.picture(_in_words(boxes, names))


def _ring(head: ListHead) -> list[ListHead]:
    """The head and what `next` leads to, until it leads to something seen, or nowhere."""
    ring, seen = [head], {id(head)}
    while isinstance(following := ring[-1].next, ListHead) and id(following) not in seen and len(ring) < MOST:
        ring.append(following)
        seen.add(id(following))
    return ring


def _name_of(entry: ListHead, number: int) -> str:
    func: Any = getattr(entry._container, "func", None)
    return getattr(func, "__name__", f"#{number}")


def _called(entry: Any, names: Mapping[int, str], limit: int = 99) -> str:
    return "NULL" if entry is None else clipped(names.get(id(entry), "?"), limit)


def _point(svg: Svg, start: int, end: int | None, forward: bool, level: int) -> None:
    """An arrow from box to box: straight to a neighbour, round the others, a loop to itself."""
    if end is None:
        return
    kind = "line" if forward else "back"
    y = TOP + (38 if forward else 58)
    left, right = LEFT + start * (BOX + GAP), LEFT + start * (BOX + GAP) + BOX
    if end == start + (1 if forward else -1):
        svg.arrow((right if forward else left, y), (right + GAP if forward else left - GAP, y), kind=kind)
        return
    level = 0 if end == start else level  # under the arrows of others that pass over this box
    edge, outside = (TOP, TOP - LEVEL * (level + 1)) if forward else (TOP + TALL, TOP + TALL + LEVEL * (level + 1))
    shift = 12 if forward else -12
    target = LEFT + end * (BOX + GAP) + BOX / 2 - shift
    svg.arrow(
        (left + BOX / 2 + shift, edge), (left + BOX / 2 + shift, outside), (target, outside), (target, edge), kind=kind
    )


def _in_words(boxes: list[ListHead | int], names: Mapping[int, str]) -> str:
    said = []
    for entry in boxes:
        if isinstance(entry, int):
            said.append(f"{entry} more entries")
        elif entry.next is entry and entry.prev is entry:
            said.append(f"{names[id(entry)]} points at itself")
        else:
            said.append(f"{names[id(entry)]}: next {_called(entry.next, names)}, prev {_called(entry.prev, names)}")
    return "; ".join(said)
