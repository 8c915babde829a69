"""The plot of all ROC curves of a leaderboard as SVG."""

import math
from collections.abc import Sequence
from html import escape

from collidekit.benchmark.scoring.board import Board
from collidekit.benchmark.scoring.result import Curve

WIDTH, HEIGHT = 900, 600
LEFT, RIGHT, TOP, BOTTOM = 70, 250, 20, 60
NAMED = 12
"""Entries with a colour, a band and a name in the legend; the others are thin grey lines."""
COLORS = ("#0550ae", "#bc4c00", "#1a7f37", "#8250df", "#bf3989", "#6e4c00", "#0a7a85", "#a40e26", "#4d2d00", "#24292f", "#5a6e00", "#3538cd")
DASHES = ("", "8 4", "2 3")


def roc_svg(board: Board) -> bytes | None:
    """Return background rejection against signal efficiency for each entry; None where no entry has a curve."""
    curves = [(row.name, row.curve) for row in board.rows if row.curve is not None]
    if not curves:
        return None
    most = max(_rejection(curve.low, curve) for _, curve in curves)
    axes = _Axes(max(1, math.ceil(math.log10(most))))
    parts = [f'<path d="{axes.line(curve)}" fill="none" stroke="#848d97" stroke-width="0.6"/>' for _, curve in curves[NAMED:]]
    for place, (_, curve) in reversed(list(enumerate(curves[:NAMED]))):
        color, dash = COLORS[place % len(COLORS)], DASHES[place // 4 % len(DASHES)]
        parts.append(f'<path d="{axes.band(curve)}" fill="{color}" fill-opacity="0.15"/>')
        parts.append(f'<path d="{axes.line(curve)}" fill="none" stroke="{color}" stroke-width="2" stroke-dasharray="{dash}"/>')
    first = curves[0][1]
    titles = (f"Signal efficiency ({first.signal})", f"Background rejection ({first.background})")
    content = "".join([*axes.grid(*titles), *parts, *_legend([name for name, _ in curves])])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, sans-serif" font-size="14">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>{content}</svg>'
    ).encode()


class _Axes:
    """Positions in the picture; the vertical axis is logarithmic, from 1 to 10 to the power of ``decades``."""

    def __init__(self, decades: int) -> None:
        self.decades = decades

    def point(self, efficiency: float, background: float) -> str:
        x = LEFT + efficiency * (WIDTH - LEFT - RIGHT)
        rejection = 10**self.decades if background <= 0 else min(1 / background, 10**self.decades)
        y = HEIGHT - BOTTOM - math.log10(rejection) / self.decades * (HEIGHT - TOP - BOTTOM)
        return f"{x:.1f} {y:.1f}"

    def line(self, curve: Curve) -> str:
        """Return the path of a curve; points where no background row survives are left out."""
        known = [(s, b) for s, b in zip(curve.signal_efficiency, curve.background_efficiency, strict=True) if b > 0]
        return "M" + " L".join(self.point(s, b) for s, b in known)

    def band(self, curve: Curve) -> str:
        points = [
            (s, low, high)
            for s, b, low, high in zip(curve.signal_efficiency, curve.background_efficiency, curve.low, curve.high, strict=True)
            if b > 0
        ]
        upper = [self.point(s, low) for s, low, _ in points]
        lower = [self.point(s, high) for s, _, high in reversed(points)]
        return "M" + " L".join([*upper, *lower]) + "Z"

    def grid(self, below: str, beside: str) -> list[str]:
        found = []
        for tenth in range(0, 11, 2):
            at = self.point(tenth / 10, 1).split()
            found.append(_rule(at[0], str(TOP), at[0], at[1]) + _text(float(at[0]), float(at[1]) + 20, f"{tenth / 10:g}", "middle"))
        for decade in range(self.decades + 1):
            x, y = self.point(0, 10.0**-decade).split()
            found.append(_rule(x, y, str(WIDTH - RIGHT), y) + _text(float(x) - 8, float(y) + 5, f"{10**decade:,}", "end"))
        middle = (HEIGHT - BOTTOM + TOP) / 2
        found.append(_text((WIDTH - RIGHT + LEFT) / 2, HEIGHT - 12, below, "middle"))
        found.append(
            f'<text transform="translate(16 {middle}) rotate(-90)" text-anchor="middle" fill="#1b1f24">{escape(beside)}</text>'
        )
        return found


def _legend(names: Sequence[str]) -> list[str]:
    found = []
    for place, name in enumerate(names[:NAMED]):
        y, dash = TOP + 10 + 22 * place, DASHES[place // 4 % len(DASHES)]
        x = WIDTH - RIGHT + 16
        found.append(f'<path d="M{x} {y}h26" stroke="{COLORS[place]}" stroke-width="2" stroke-dasharray="{dash}"/>')
        found.append(_text(x + 34, y + 5, name if len(name) <= 24 else f"{name[:23]}…", "start"))
    if len(names) > NAMED:
        found.append(_text(WIDTH - RIGHT + 16, TOP + 15 + 22 * NAMED, f"grey: {len(names) - NAMED} other entries", "start"))
    return found


def _rule(x1: str, y1: str, x2: str, y2: str) -> str:
    return f'<path d="M{x1} {y1}L{x2} {y2}" stroke="#d0d7de"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="#1b1f24">{escape(text)}</text>'


def _rejection(background: Sequence[float], curve: Curve) -> float:
    """Return the largest rejection of a curve, which its rows allow."""
    return max((min(1 / value, curve.background_rows) for value in background if value > 0), default=1.0)
