"""The struct picture: where each field lies, what alignment leaves empty, where cache lines end.

One row is eight bytes, the size of a pointer; a field of several rows has one box that spans them.
"""

from kwlab.draw.svg import Picture, Svg, clipped
from kwlab.host.layout import CACHE_LINE, Field, Layout

__all__ = ["struct_picture"]

WORD = 8  # bytes in a row
LEFT, TOP = 58, 44
BYTE, ROW = 52, 26  # pixels
NOTES = 200  # pixels to the right of the bytes


def struct_picture(layout: Layout) -> Picture:
    """Draw `layout`. Holes are dashed, a cache line's end is a heavy rule with its offset."""
    rows = -(-layout.size // WORD)
    svg = Svg(LEFT + WORD * BYTE + NOTES, TOP + rows * ROW + 34)
    svg.text(8, 22, f"struct {layout.name}   {clipped(layout.kernel, 60)}", "strong")
    for row in range(rows):
        svg.text(LEFT - 10, TOP + row * ROW + 18, str(row * WORD), "soft", "end")
    for start, size in layout.holes():
        _draw_piece(svg, start, size, f"{size} unused", "gap")
    for field in layout.fields:
        if not field.bits:
            _draw_piece(svg, field.offset, field.size, field.declaration, "fill", field.name)
    for end in range(CACHE_LINE, layout.size, CACHE_LINE):
        y = TOP + end // WORD * ROW
        svg.box(LEFT - 6, y - 2, WORD * BYTE + 12, 4, "head")
        svg.text(LEFT + WORD * BYTE + 14, y + 5, f"cache line {end // CACHE_LINE} from here", "soft")
    lines = f"{layout.cache_lines} cache line{'s' if layout.cache_lines > 1 else ''} of {CACHE_LINE} bytes"
    svg.text(LEFT, TOP + rows * ROW + 22, f"{layout.size} bytes, {lines}", "soft")
    return svg.picture(_in_words(layout, lines))


def _draw_piece(svg: Svg, offset: int, size: int, words: str, kind: str, short: str = "") -> None:
    """One box where the piece fills whole rows or lies in one; else one box in each row."""
    row, byte = divmod(offset, WORD)
    if byte + size <= WORD or (byte == 0 and size % WORD == 0):
        pieces = [(row, byte, min(size, WORD), max(1, size // WORD))]
    else:
        first = WORD - byte
        pieces = [(row, byte, first, 1)]
        pieces += [(row + 1 + n // WORD, 0, min(WORD, size - first - n), 1) for n in range(0, size - first, WORD)]
    for number, (row, byte, width, tall) in enumerate(pieces):
        x, y, room = LEFT + byte * BYTE, TOP + row * ROW, width * BYTE
        svg.box(x, y, room, tall * ROW, kind, title=words)
        if number == 0:
            fits = words if 8 * len(words) < room - 12 else short or words
            svg.text(x + 8, y + tall * ROW / 2 + 5, clipped(fits, int(room - 12) // 8), "soft" if kind == "gap" else "")


def _in_words(layout: Layout, lines: str) -> str:
    pieces = [(field.offset, _field_in_words(field)) for field in layout.fields]
    pieces += [(start, f"{size} bytes unused at {start}") for start, size in layout.holes()]
    said = "; ".join(words for _, words in sorted(pieces))
    return f"struct {layout.name} of {layout.kernel}, {layout.size} bytes, {lines}: {said}"


def _field_in_words(field: Field) -> str:
    return f"{field.name} at {field.offset}, {field.size} bytes"
