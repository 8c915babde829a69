"""Draws the pictures of the networks: ``python docs/draw_networks.py`` writes docs/images/networks/NAME.svg.

A picture is a grid of boxes and the arrows between them, described at the end of this file in ``PICTURES``. Sizes are the
defaults of src/collidekit/models.
"""

from html import escape
from itertools import pairwise
from pathlib import Path

from attrs import field, frozen
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

FOLDER = Path(__file__).parent / "images" / "networks"
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


FLAT = "flat groups\nfeatures of the jet"
CLASSES = "classes\nlinear"

PFN = Grid(
    {
        "features": Box(0, 0, "input", "constituents\nfeatures of each", stacked=True),
        "flat": Box(0, 1, "input", FLAT),
        "phi": Box(1, 0, "each", "Φ\ndense 100, 100, 256\nReLU", stacked=True),
        "sum": Box(2, 0, "pool", "sum\nover the jet, / 10\n256 numbers", stacked=True),
        "f": Box(3, 0, "jet", "F\ndense 100, 100, 100\nReLU"),
        "classes": Box(4, 0, "output", CLASSES),
    },
    ["features > phi > sum > f > classes", "flat ^ f"],
)

EFN = Grid(
    {
        "angles": Box(0, 0, "input", "coordinates\ntwo angles pᵢ", stacked=True),
        "momenta": Box(0, 1, "input", "momenta\npx, py, pz, E", stacked=True),
        "flat": Box(0, 2, "input", "flat groups\nonly with flat", dashed=True),
        "phi": Box(1, 0, "each", "Φ\ndense 100, 100, 256\nReLU", stacked=True),
        "share": Box(1, 1, "among", "part of the jet’s pT\nzᵢ = pTᵢ / Σ pT", stacked=True),
        "sum": Box(2, 0, "pool", "weighted sum\nΣ zᵢ Φ(pᵢ)\n256 numbers", stacked=True),
        "f": Box(3, 0, "jet", "F\ndense 100, 100, 100\nReLU"),
        "classes": Box(4, 0, "output", CLASSES),
    },
    ["angles > phi > sum > f > classes", "momenta > share ^ sum", "flat ^ f"],
)

PCNN = Grid(
    {
        "features": Box(0, 0, "input", "features\nin order", stacked=True),
        "flat": Box(0, 1, "input", "flat groups"),
        "stem": Box(1, 0, "among", "conv\n32", stacked=True),
        "one": Box(2, 0, "among", "2 units\n64", stacked=True),
        "two": Box(3, 0, "among", "2 units\n64\nhalf as\nmany", stacked=True),
        "three": Box(4, 0, "among", "2 units\n128\nhalf as\nmany", stacked=True),
        "mean": Box(5, 0, "pool", "mean\n128", stacked=True),
        "dense": Box(6, 0, "jet", "dense\n512, ReLU\ndropout 0.2"),
        "classes": Box(7, 0, "output", CLASSES),
    },
    ["features > stem > one > two > three > mean > dense > classes", "flat ^ dense"],
)

UNIT = Grid(
    {
        "x": Box(0, 0, "each", "x"),
        "one": Box(1, 0, "among", "conv\n3 neighbours, C channels\nbatch norm, ReLU"),
        "two": Box(2, 0, "among", "conv\n3 neighbours, C channels\nbatch norm, ReLU"),
        "shortcut": Box(1, 1, "each", "shortcut\nlinear, C channels; or nothing, where size and number stay", span=2),
        "plus": Box(3, 0, "plus", ""),
        "next": Box(4, 0, "each", "next x"),
    },
    ["x > one > two > plus > next", "x > shortcut ^ plus"],
    title="One unit of C channels",
)

DEEPJET = Grid(
    {
        "charged": Box(0, 0, "input", "charged"),
        "neutral": Box(0, 1, "input", "neutral"),
        "vertices": Box(0, 2, "input", "vertices"),
        "flat": Box(0, 3, "input", "flat groups"),
        "charged_dense": Box(1, 0, "each", "dense\n64, 32, 32, 8"),
        "neutral_dense": Box(1, 1, "each", "dense\n32, 16, 4"),
        "vertices_dense": Box(1, 2, "each", "dense\n64, 32, 32, 8"),
        "norm": Box(1, 3, "jet", "batch norm"),
        "charged_lstm": Box(2, 0, "pool", "LSTM 150\nlast to first"),
        "neutral_lstm": Box(2, 1, "pool", "LSTM 50\nlast to first"),
        "vertices_lstm": Box(2, 2, "pool", "LSTM 50\nlast to first"),
        "dense": Box(3, 1, "jet", "dense\n200, then\n7 × 100"),
        "classes": Box(4, 1, "output", CLASSES),
    },
    [
        "charged > charged_dense > charged_lstm > dense > classes",
        "neutral > neutral_dense > neutral_lstm > dense",
        "vertices > vertices_dense > vertices_lstm > dense",
        "flat > norm ^ dense",
    ],
)

PARTICLENET = Grid(
    {
        "features": Box(0, 0, "input", "features\nof each"),
        "coordinates": Box(0, 1, "input", "coordinates\ntwo angles"),
        "flat": Box(0, 2, "input", "flat groups"),
        "norm": Box(1, 0, "each", "batch\nnorm"),
        "one": Box(2, 0, "among", "EdgeConv\n3 × 64\nk = 16"),
        "two": Box(3, 0, "among", "EdgeConv\n3 × 128\nk = 16"),
        "three": Box(4, 0, "among", "EdgeConv\n3 × 256\nk = 16"),
        "mean": Box(5, 0, "pool", "mean\n256"),
        "dense": Box(6, 0, "jet", "dense\n256, ReLU\ndropout 0.1"),
        "classes": Box(7, 0, "output", CLASSES),
    },
    ["features > norm > one > two > three > mean > dense > classes", "coordinates ^ one", "flat ^ dense"],
)

EDGE_CONV = Grid(
    {
        "x": Box(0, 0, "each", "xᵢ"),
        "near": Box(1, 0, "among", "neighbours\nthe 16 nearest, xⱼ\nfirst in the coordinates,\nthen in x"),
        "edges": Box(2, 0, "among", "each edge (xᵢ, xⱼ − xᵢ)\n3 × dense C,\neach with batch norm\nand ReLU"),
        "mean": Box(3, 0, "among", "mean\nover the\nneighbours"),
        "shortcut": Box(1, 1, "each", "shortcut\ndense C, batch norm; or nothing, where the size stays", span=3),
        "plus": Box(4, 0, "plus", ""),
        "next": Box(5, 0, "each", "ReLU\nnext xᵢ"),
    },
    ["x > near > edges > mean > plus > next", "x > shortcut ^ plus"],
    title="One EdgeConv of C numbers",
)

PARTICLE_TRANSFORMER = Grid(
    {
        "features": Box(0, 0, "input", "features\nof each", stacked=True),
        "momenta": Box(0, 1, "input", "momenta\nof each", stacked=True),
        "flat": Box(0, 2, "input", "flat groups"),
        "embedding": Box(1, 0, "each", "embedding\n128, 512,\n128", stacked=True),
        "pairs": Box(1, 1, "among", "each pair\nln kT, ln z,\nln ΔR, ln m²"),
        "attention": Box(2, 0, "among", "attention\n8 heads,\nled by U", around="above"),
        "bias": Box(2, 1, "among", "U\n64, 64, 64,\n8 heads"),
        "feed": Box(3, 0, "each", "dense\n512, GELU,\n128", around="above"),
        "token": Box(3, 1, "jet", "class token\n128, learned"),
        "blocks": Box(4, 0, "pool", "2 class\nblocks\n128"),
        "classes": Box(5, 0, "output", CLASSES),
    },
    [
        "features > embedding > attention > feed > blocks > classes",
        "momenta > pairs > bias ^ attention",
        "token ^ blocks",
        "flat ^ classes",
    ],
    {"attention feed": "× 8"},
)

CLASS_BLOCK = Grid(
    {
        "token": Box(0, 0, "jet", "token"),
        "constituents": Box(0, 1, "each", "constituents"),
        "attention": Box(1, 0, "pool", "attention\nfrom the token to itself and all, 8 heads", around="above"),
        "feed": Box(2, 0, "jet", "dense\n512, GELU, 128", around="above"),
        "next": Box(3, 0, "jet", "next token"),
    },
    ["token > attention > feed > next", "constituents ^ attention"],
    title="One class block",
)

PAIR_TRANSFORMER = Grid(
    {
        "features": Box(0, 0, "input", "features\nof each", stacked=True),
        "momenta": Box(0, 1, "input", "momenta\nof each", stacked=True),
        "flat": Box(0, 2, "input", "flat groups"),
        "embedding": Box(1, 0, "each", "embedding\ndense 64, 64", stacked=True),
        "pairs": Box(1, 1, "among", "each pair\nln kT, ln z,\nln ΔR, ln m²"),
        "attention": Box(2, 0, "among", "attention\n8 heads,\nled by U", around="above"),
        "bias": Box(2, 1, "among", "U\ndense 32,\n8 heads"),
        "feed": Box(3, 0, "each", "dense\n128, SiLU,\n64", around="above"),
        "sum": Box(4, 0, "pool", "sum\nwith gates\n64"),
        "dense": Box(5, 0, "jet", "dense\n64, SiLU"),
        "classes": Box(6, 0, "output", CLASSES),
    },
    [
        "features > embedding > attention > feed > sum > dense > classes",
        "momenta > pairs > bias ^ attention",
        "flat ^ dense",
    ],
    {"attention feed": "× 3"},
)

LORENTZNET = Grid(
    {
        "scalars": Box(0, 0, "input", "scalars\nmass, beam or not,\nchosen features"),
        "momenta": Box(0, 1, "input", "momenta\nand the two beams"),
        "embedding": Box(1, 0, "each", "dense\n72: h"),
        "layers": Box(2, 0, "among", "6 layers\nh: 72 scalars\nx: a four-vector"),
        "mean": Box(3, 0, "pool", "mean of h\n72"),
        "dense": Box(4, 0, "jet", "dense\n72, ReLU\ndropout 0.2"),
        "classes": Box(5, 0, "output", CLASSES),
    },
    ["scalars > embedding > layers > mean > dense > classes", "momenta ^ layers"],
)

NEXT_H = "hᵢ + φₕ(hᵢ, Σⱼ wᵢⱼ mᵢⱼ, scalars)"
LORENTZ_LAYER = Grid(
    {
        "h": Box(0, 0, "each", "hᵢ, hⱼ"),
        "x": Box(0, 1, "each", "xᵢ, xⱼ"),
        "products": Box(1, 1, "among", "products\nψ(|xᵢ − xⱼ|²)\nψ(⟨xᵢ, xⱼ⟩)"),
        "message": Box(2, 0, "among", "message mᵢⱼ\ndense 72, batch norm,\nReLU, dense 72, ReLU"),
        "next_h": Box(3, 0, "among", f"next hᵢ = {NEXT_H}\nw: dense 1, sigmoid\nφₕ: dense 72, batch norm, ReLU, 72"),
        "next_x": Box(3, 1, "among", "next xᵢ = xᵢ + c meanⱼ (xᵢ − xⱼ) φₓ(mᵢⱼ)\nc = 0.001\nφₓ: dense 72, ReLU, 1"),
    },
    ["h > message > next_h", "x > products ^ message > next_x"],
    title="One layer, on all pairs i, j",
)

TRANSFORMER = Grid(
    {
        "features": Box(0, 0, "input", "features\nof each", stacked=True),
        "flat": Box(0, 1, "input", "flat groups\nbeside each"),
        "embedding": Box(1, 0, "each", "embedding\ndense\n256, 256", stacked=True),
        "registers": Box(1, 1, "input", "registers\n8, learned"),
        "blocks": Box(2, 0, "among", "4 blocks\nof 256"),
        "projection": Box(3, 0, "each", "projection\nlinear 128"),
        "sum": Box(4, 0, "pool", "attention\npooling\n128"),
        "dense": Box(5, 0, "jet", "dense\n128, 64,\n32, SiLU"),
        "classes": Box(6, 0, "output", CLASSES),
        "targets": Box(
            5,
            1,
            "output",
            "targets\nclass of constituents\npairs of one vertex\ndense 128, 64, 32",
            dashed=True,
            span=2,
        ),
    },
    [
        "features > embedding > blocks > projection > sum > dense > classes",
        "flat > embedding",
        "registers ^ blocks",
        "projection v targets",
        "sum > targets",
    ],
)

BLOCK = Grid(
    {
        "x": Box(0, 0, "each", "x"),
        "attention": Box(1, 0, "among", "attention\nof RMSNorm(x), 8 heads", around="above"),
        "feed": Box(2, 0, "each", "feed-forward\nof RMSNorm(x), gated, 512 inside", around="above"),
        "next": Box(3, 0, "each", "next x"),
    },
    ["x > attention > feed > next"],
    title="One block",
)

PICTURES = {
    "pfn": Picture(
        "Particle-flow network: Φ with dense layers of 100, 100 and 256 on each constituent, the sum over the jet divided by "
        "10, beside it the flat groups, F with dense layers of 100, 100 and 100, classes",
        [PFN],
    ),
    "efn": Picture(
        "Energy-flow network: Φ with dense layers of 100, 100 and 256 on the angles of each constituent, the sum weighted by "
        "its part of the jet's transverse momentum, F with dense layers of 100, 100 and 100, classes",
        [EFN],
    ),
    "pcnn": Picture(
        "P-CNN: a convolution of 32, two units of 64, two of 64 and two of 128, the mean over the constituents, a dense layer "
        "of 512 with the flat groups, classes; a unit is two convolutions and a shortcut",
        [PCNN, UNIT],
    ),
    "deepjet": Picture(
        "DeepJet: charged candidates, neutral candidates and vertices each go through dense layers and an LSTM, flat groups "
        "beside them, then dense layers of 200 and seven times 100, classes",
        [DEEPJET],
        "A batch norm comes first. ReLU, batch norm and dropout 0.1 follow each dense layer, but the last before an LSTM has "
        "the ReLU alone; batch norm and dropout follow the LSTM. deepjet_hlt: 200, then 8 × 100, no flat groups.",
    ),
    "particlenet": Picture(
        "ParticleNet: three EdgeConv blocks with 16 neighbours and layers of 64, 128 and 256, the mean over the constituents, "
        "a dense layer of 256 with the flat groups, classes; an EdgeConv is the mean over the edges to the neighbours, and a "
        "shortcut",
        [PARTICLENET, EDGE_CONV],
        "Several collections form one cloud: each first has a batch norm and a dense layer to 32 numbers of its own.",
    ),
    "particle_transformer": Picture(
        "Particle transformer: constituents are embedded to 128 numbers and go through eight blocks of attention, led by U "
        "from the four features of each pair, and feed-forward; a class token then looks at them in two blocks, and goes to "
        "the classes with the flat groups",
        [PARTICLE_TRANSFORMER, CLASS_BLOCK],
        "Layer norms: before and after each attention, before and between each two dense layers, and before the classes.",
    ),
    "pair_transformer": Picture(
        "Pair transformer: constituents are embedded to 64 numbers and go through three blocks of attention, led by U from "
        "the four features of each pair, and feed-forward; a sum with gates and the flat groups go to a dense layer of 64 "
        "and the classes",
        [PAIR_TRANSFORMER],
        "An RMSNorm stands before attention, dense layers and sum.",
    ),
    "lorentznet": Picture(
        "LorentzNet: scalars are embedded to 72 numbers h, which go with the momenta through six layers, then the mean of h "
        "to a dense layer of 72 and the classes; in a layer messages of all pairs, made of their scalars and Minkowski "
        "products, change h and x",
        [LORENTZNET, LORENTZ_LAYER],
        "The last layer leaves x as it is.",
    ),
    "transformer": Picture(
        "Transformer: constituents with the flat groups beside each are embedded to 256 numbers and form one set with eight "
        "registers; four blocks of attention and feed-forward, a projection to 128, attention pooling, dense layers of 128, "
        "64 and 32, classes; targets come from the projection and the pooled row",
        [TRANSFORMER, BLOCK],
    ),
}

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, picture in PICTURES.items():
        (FOLDER / f"{name}.svg").write_text(draw(picture), encoding="utf-8")
