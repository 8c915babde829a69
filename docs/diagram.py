"""Diagrams of boxes and arrows as SVG: a grid of boxes, the arrows between them, frames, a legend, notes."""

from html import escape
from itertools import pairwise

from attrs import field, frozen
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

WIDTH, MARGIN, EDGE = 760, 16, 26
FONT, SIZE, LINE = "Helvetica, Arial, 'Liberation Sans', sans-serif", 12.5, 16.5
PAD, GAP, WIDEST_GAP, ROW_GAP = 9, 18, 64, 26
ARC = 13
"""How far the way around a box whose input is added to its output leads above or below it."""
HELVETICA = 0.88
"""About how wide a text is compared with DejaVu Sans, which matplotlib brings along. Boxes have room for either."""
INK = "#1f2933"
KINDS = {  # fill, border, legend; the hues are those of Okabe and Ito, safe for the colour-blind
    "input": ("#eef0f2", "#7b8794", ""),
    "each": ("#d9ebf7", "#0072b2", "each constituent"),
    "among": ("#fdebcb", "#d98200", "between constituents"),
    "pool": ("#d3f0e6", "#009e73", "constituents to jet"),
    "jet": ("#f6e0ec", "#b8558c", "whole jet"),
    "output": ("#ffffff", "#1f2933", ""),
    "plus": ("#ffffff", "#1f2933", ""),
}


@frozen
class Box:
    """A box in a column and a row. ``text`` is a title, then lines below it.

    ``stacked``: there is one for each collection. ``around``: "above" or "below" where the input is added to the output.
    """

    column: int
    row: float
    kind: str
    text: str
    stacked: bool = False
    dashed: bool = False
    around: str = ""
    span: int = 1

    @property
    def size(self) -> tuple[float, float]:
        """Width and height that the text needs."""
        if self.kind == "plus":
            return 18, 18
        title, *lines = self.text.split("\n")
        widest = max(text_width(title, bold=True), *(text_width(line) for line in [*lines, ""]))
        return max(widest + 2 * PAD, widest / HELVETICA + 4, 44), LINE * (1 + len(lines)) + PAD + 4


@frozen
class Grid:
    """Boxes by name; arrows "a > b > c" to the left of a box, "a ^ b" right, then up or down, "a v b" down, then right.

    ``loops`` are frames around boxes: "a b" -> label.
    """

    boxes: dict[str, Box]
    arrows: list[str]
    loops: dict[str, str] = field(factory=dict)
    title: str = ""


@frozen
class Place:
    """Where a box is drawn."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height

    @property
    def middle(self) -> tuple[float, float]:
        return self.left + self.width / 2, self.top + self.height / 2


@frozen
class Picture:
    """The network, what a part of it looks like inside, and what else there is to say."""

    alt: str
    grids: list[Grid]
    notes: str = ""


def text_width(text: str, bold: bool = False) -> float:
    """Width in Helvetica."""
    if not text.strip():
        return 0.0
    font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
    return HELVETICA * float(TextPath((0, 0), text, size=SIZE, prop=font, usetex=False).get_extents().x1)


def draw(picture: Picture) -> str:
    parts, top = [], float(MARGIN)
    for grid in picture.grids:
        drawn, top = draw_grid(grid, top)
        parts += [*drawn]
        top += 16
    for line in wrapped(picture.notes):
        parts.append(text(MARGIN + 4, top + 11, line))
        top += LINE
    drawn, top = draw_legend(picture, top + (8 if picture.notes else 0))
    height = round(top + MARGIN - 4)
    first = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" font-family="{FONT}" font-size="{SIZE}" fill="{INK}">\n'
        f"<title>{escape(picture.alt)}</title>\n"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto" '
        f'markerUnits="userSpaceOnUse"><path d="M0 0.5 L8 4 L0 7.5 Z" fill="{INK}"/></marker></defs>'
    )
    card = rectangle(Place(0.5, 0.5, WIDTH - 1, height - 1), "#ffffff", "#c3cad1", radius=10, line=1)
    return "\n".join([first, card, *parts, *drawn, "</svg>\n"])


def draw_grid(grid: Grid, top: float) -> tuple[list[str], float]:
    """The parts of a grid below ``top``, and where it ends; one with a title has a frame."""
    parts = []
    places, bottom = arrange(grid, top + (36 if grid.title else 4))
    if grid.title:
        frame = Place(MARGIN, top, WIDTH - 2 * MARGIN, bottom + 14 - top)
        parts += [rectangle(frame, "#fbfcfd", "#9aa5b1", radius=8, line=1, dashed=True)]
        parts += [text(MARGIN + 12, top + 20, grid.title, bold=True)]
        bottom += 14
    for names, label in grid.loops.items():
        parts += draw_loop([(grid.boxes[name], places[name]) for name in names.split()], label)
    for chain in grid.arrows:
        words = chain.split()
        for start, route, end in zip(words[::2], words[1::2], words[2::2], strict=False):
            parts.append(draw_arrow(grid.boxes[start], places[start], route, grid.boxes[end], places[end]))
    for name, box in grid.boxes.items():
        parts += draw_box(box, places[name])
    return parts, bottom


def arrange(grid: Grid, top: float) -> tuple[dict[str, Place], float]:
    """Where each box stands, and the lower end: columns as wide as their boxes, the room between them shared evenly."""
    boxes = grid.boxes.values()
    single = [box for box in boxes if box.span == 1]
    last = max(box.column + box.span - 1 for box in boxes)
    widths = [max(box.size[0] for box in single if box.column == column) for column in range(last + 1)]
    gaps = [gap_after(column, list(boxes)) for column in range(last)]
    free = WIDTH - 2 * EDGE - sum(widths) - sum(gaps)
    if free < 0:
        raise ValueError(f"{-free:.0f} too wide: {grid.arrows}")
    more = min(free / len(gaps), WIDEST_GAP - GAP)
    left = [EDGE + (free - more * len(gaps)) / 2]
    for width, gap in zip(widths, gaps, strict=False):
        left.append(left[-1] + width + gap + more)
    places, middles, bottom = {}, {}, top
    for row in sorted({box.row for box in boxes}):
        own = [box for box in boxes if box.row == row]
        above, below = (max([0, *(ARC for box in own if box.around == side)]) for side in ("above", "below"))
        looped = {grid.boxes[name].row for names in grid.loops for name in names.split()}
        above += 14 * (row in looped)
        height = max(box.size[1] for box in own)
        middles[row] = bottom + above + height / 2
        bottom += above + height + below + ROW_GAP
    for name, box in grid.boxes.items():
        width, height = box.size
        end = box.column + box.span - 1
        if box.span > 1 or box.kind != "plus":
            width = left[end] + widths[end] - left[box.column]
        places[name] = Place(left[box.column], middles[box.row] - height / 2, width, height)
    return places, bottom - ROW_GAP


def gap_after(column: int, boxes: list[Box]) -> float:
    """The least room between a column and the next, with what stands in it: stacks, ways around boxes and their sums."""
    own, following = ([box for box in boxes if box.column == here] for here in (column, column + 1))
    room = max(16 * any(box.around for box in own), 6 * any(box.stacked for box in own))
    return GAP + room + 8 * any(box.around for box in following)


def draw_box(box: Box, place: Place) -> list[str]:
    fill, border, _ = KINDS[box.kind]
    x, y = place.middle
    if box.kind == "plus":
        return plus(x, y)
    parts = []
    for shift in (6, 3) if box.stacked else ():
        parts.append(rectangle(Place(place.left + shift, place.top - shift, place.width, place.height), fill, border))
    parts.append(rectangle(place, fill, border, dashed=box.dashed))
    lines = box.text.split("\n")
    first = y - LINE * (len(lines) - 1) / 2 + 4.5
    parts += [text(x, first + LINE * i, line, bold=i == 0, centred=True) for i, line in enumerate(lines)]
    if box.around:
        edge = place.top - ARC if box.around == "above" else place.bottom + ARC
        start, end = place.left - 12, place.right + 15
        tip = y - 9 if box.around == "above" else y + 9
        parts.append(path([(start, y), (start, edge), (end, edge), (end, tip)]))
        parts += plus(end, y)
    return parts


def draw_arrow(start: Box, a: Place, route: str, end: Box, b: Place) -> str:
    """From the right of a, or from above or below it, to the left of b, or to b from above or below."""
    (ax, ay), (bx, by) = a.middle, b.middle
    right = a.right + (24 if start.around else 6 * start.stacked)
    if route == ">":
        if abs(ay - by) < 1:
            return path([(right, ay), (b.left, by)])
        turn = b.left - 13
        return path([(right, ay), (turn, ay), (turn, by), (b.left, by)])
    if route == "v":
        return path([(ax, a.bottom if by > ay else a.top), (ax, by), (b.left, by)])
    target = b.bottom if ay > by else b.top - 6 * end.stacked
    if start.column == end.column:
        return path([(bx, a.top if ay > by else a.bottom), (bx, target)])
    return path([(right, ay), (bx, ay), (bx, target)])


def draw_loop(inside: list[tuple[Box, Place]], label: str) -> list[str]:
    """A frame around boxes, with how often they come one after another."""
    above = ARC * any(box.around == "above" for box, _ in inside)
    below = ARC * any(box.around == "below" for box, _ in inside)
    left, right = min(place.left for _, place in inside) - 18, max(place.right for _, place in inside) + 27
    top, bottom = min(place.top for _, place in inside) - above - 9, max(p.bottom for _, p in inside) + below + 9
    frame = Place(left, top, right - left, bottom - top)
    width = text_width(label, bold=True) + 10
    tag = Place(right - width - 12, top - 9, width, 18)
    return [
        rectangle(frame, "none", "#52606d", radius=9, line=1.2, dashed=True),
        rectangle(tag, "#ffffff", "none"),
        text(tag.middle[0], top + 4.5, label, bold=True, centred=True),
    ]


def draw_legend(picture: Picture, top: float) -> tuple[list[str], float]:
    """What the colours mean, of those that there are, and where the legend ends."""
    boxes = [box for grid in picture.grids for box in grid.boxes.values()]
    used = {box.kind for box in boxes}
    entries = [Box(0, 0, kind, label) for kind, (_, _, label) in KINDS.items() if label and kind in used]
    if any(box.stacked for box in boxes):
        entries.append(Box(0, 0, "input", "one per collection", stacked=True))
    parts, x = [], MARGIN + 4.0
    for entry in entries:
        words = x + (30 if entry.stacked else 23)
        if words + text_width(entry.text) > WIDTH - MARGIN:
            words, x, top = words - x + MARGIN + 4, MARGIN + 4, top + 20
        parts += draw_box(Box(0, 0, entry.kind, "", stacked=entry.stacked), Place(x, top + 3, 15, 12))
        parts.append(text(words, top + 13.5, entry.text))
        x = words + text_width(entry.text) / HELVETICA + 9
    return parts, top + 20


def wrapped(notes: str) -> list[str]:
    """Lines no longer than the picture is wide."""
    lines: list[str] = []
    for word in notes.split():
        if lines and text_width(f"{lines[-1]} {word}") < (WIDTH - 2 * MARGIN - 8) * HELVETICA:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def text(x: float, y: float, words: str, bold: bool = False, centred: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    anchor = ' text-anchor="middle"' if centred else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{weight}{anchor}>{escape(words)}</text>' if words else ""


def rectangle(place: Place, fill: str, border: str, radius: float = 5, line: float = 1.6, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="5 3"' if dashed else ""
    where = f'x="{place.left:.1f}" y="{place.top:.1f}" width="{place.width:.1f}" height="{place.height:.1f}"'
    return f'<rect {where} rx="{radius}" fill="{fill}" stroke="{border}" stroke-width="{line}"{dashes}/>'


def path(points: list[tuple[float, float]]) -> str:
    """An arrow along the points, its corners rounded."""
    steps = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (before, here), after in zip(pairwise(points), points[2:], strict=False):
        (x, y), (dx, dy) = here, (after[0] - here[0], after[1] - here[1])
        back = (before[0] - x, before[1] - y)
        near, far = (towards(here, step, 5) for step in (back, (dx, dy)))
        steps.append(f"L{near[0]:.1f} {near[1]:.1f} Q{x:.1f} {y:.1f} {far[0]:.1f} {far[1]:.1f}")
    steps.append(f"L{points[-1][0]:.1f} {points[-1][1]:.1f}")
    return f'<path d="{" ".join(steps)}" fill="none" stroke="{INK}" stroke-width="1.3" marker-end="url(#tip)"/>'


def towards(point: tuple[float, float], step: tuple[float, float], distance: float) -> tuple[float, float]:
    length = (step[0] ** 2 + step[1] ** 2) ** 0.5
    part = min(distance, length / 2) / length
    return point[0] + step[0] * part, point[1] + step[1] * part


def plus(x: float, y: float) -> list[str]:
    cross = f"M{x - 4:.1f} {y:.1f} H{x + 4:.1f} M{x:.1f} {y - 4:.1f} V{y + 4:.1f}"
    return [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8.5" fill="#ffffff" stroke="{INK}" stroke-width="1.3"/>',
        f'<path d="{cross}" stroke="{INK}" stroke-width="1.3"/>',
    ]
