"""The plot of all ROC curves of a leaderboard as SVG, wide or for a phone."""

import math
from collections.abc import Sequence
from html import escape

from attrs import frozen

from collidekit.benchmark.scoring.board import Board
from collidekit.benchmark.scoring.result import Curve
from collidekit.benchmark.server.svg import Axes, legend

NAMED = 12
"""Entries with a colour, a band and a name in the legend; the others are thin grey lines."""
COLORS = ("#0550ae", "#bc4c00", "#1a7f37", "#8250df", "#bf3989", "#6e4c00", "#0a7a85", "#a40e26", "#4d2d00", "#24292f", "#5a6e00", "#3538cd")  # fmt: skip
DASHES = ("", "8 4", "2 3")


@frozen
class Layout:
    """Size of the picture and where the legend stands."""

    width: int
    height: int
    plot_width: int
    plot_height: int
    legend: tuple[int, int]
    """Position of its first line."""


WIDE = Layout(900, 560, 640, 560, (656, 30))
NARROW = Layout(420, 720, 420, 400, (20, 430))


def roc_svg(board: Board, layout: Layout) -> bytes | None:
    """Return background rejection against signal efficiency for each entry; None where no entry has a curve."""
    curves = [(row.name, row.curve) for row in board.rows if row.curve is not None]
    if not curves:
        return None
    most = max((1 / value for _, curve in curves for value in curve.background_efficiency if value > 0), default=10.0)
    axes = Axes(layout.plot_width, layout.plot_height, max(1, math.ceil(math.log10(most))))
    others = [
        f'<path d="{_line(axes, curve, 2)}" fill="none" stroke="#848d97" stroke-width="0.6"/>'
        for _, curve in curves[NAMED:]
    ]
    named = []
    for place, (_, curve) in reversed(list(enumerate(curves[:NAMED]))):
        color, dash = COLORS[place], DASHES[place // 4]
        named.append(f'<path d="{_band(axes, curve)}" fill="{color}" fill-opacity="0.15"/>')
        named.append(
            f'<path d="{_line(axes, curve)}" fill="none" stroke="{color}" stroke-width="2" stroke-dasharray="{dash}"/>'
        )
    first = curves[0][1]
    frame = axes.frame(f"Signal efficiency ({first.signal})", f"Background rejection ({first.background})")
    lines = [(name, COLORS[place], DASHES[place // 4]) for place, (name, _) in enumerate(curves[:NAMED])]
    rest = f"grey: {len(curves) - NAMED} other entries" if len(curves) > NAMED else ""
    content = "".join([*frame, *others, *named, *legend(lines, rest, layout.legend)])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{layout.width}" height="{layout.height}" viewBox="0 0 {layout.width} {layout.height}" '
        f'font-family="system-ui, sans-serif" font-size="14"><title>{escape(board.title)}</title>'
        f'<rect width="{layout.width}" height="{layout.height}" fill="#ffffff"/>{content}</svg>'
    ).encode()


def _known(curve: Curve) -> list[tuple[float, float, float, float]]:
    """Return the points where background rows survive: signal and background efficiency, and the band of the latter."""
    points = zip(curve.signal_efficiency, curve.background_efficiency, curve.low, curve.high, strict=True)
    return [(signal, background, low, high) for signal, background, low, high in points if background > 0]


def _line(axes: Axes, curve: Curve, step: int = 1) -> str:
    return _path([axes.point(signal, 1 / background) for signal, background, _, _ in _known(curve)[::-step]])


def _band(axes: Axes, curve: Curve) -> str:
    known = _known(curve)
    upper = [axes.point(signal, 1 / low if low > 0 else math.inf) for signal, _, low, _ in known]
    lower = [axes.point(signal, 1 / high if high > 0 else math.inf) for signal, _, _, high in reversed(known)]
    return _path([*upper, *lower]) + "Z" if known else ""


def _path(points: Sequence[str]) -> str:
    return "M" + "L".join(points) if points else ""
