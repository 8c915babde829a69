"""Axes and legend of a plot as SVG."""

import math
from collections.abc import Sequence
from html import escape

from attrs import frozen

LEFT, RIGHT, TOP, BOTTOM = 72, 16, 20, 56
"""Margins of a plot in pixels."""
INK, RULE = "#1b1f24", "#d0d7de"
LINE = 22
LONGEST = 28


@frozen
class Axes:
    """Positions in a plot: horizontal from 0 to 1, vertical logarithmic from 1 to 10 to the power of ``decades``."""

    width: int
    height: int
    decades: int

    def point(self, x: float, y: float) -> str:
        """Return the position of a point; what lies outside is put onto the edge."""
        right = LEFT + min(max(x, 0.0), 1.0) * (self.width - LEFT - RIGHT)
        height = min(max(math.log10(y), 0.0), self.decades) if math.isfinite(y) else self.decades
        return f"{right:.1f} {self.height - BOTTOM - height / self.decades * (self.height - TOP - BOTTOM):.1f}"

    def frame(self, below: str, beside: str) -> list[str]:
        """Return the lines of the grid, their numbers and the titles."""
        found = []
        for fifth in range(6):
            x, y = self.point(fifth / 5, 1).split()
            found.append(
                f'<path d="M{x} {TOP}V{y}" stroke="{RULE}"/>{text(float(x), float(y) + 20, f"{fifth / 5:g}", "middle")}'
            )
        for decade in range(self.decades + 1):
            x, y = self.point(0, 10.0**decade).split()
            found.append(
                f'<path d="M{x} {y}H{self.width - RIGHT}" stroke="{RULE}"/>{text(float(x) - 8, float(y) + 5, f"{10**decade:,}", "end")}'
            )
        middle = (self.height - BOTTOM + TOP) / 2
        turned = f'<g transform="translate(14 {middle:g}) rotate(-90)">{text(0, 0, beside, "middle")}</g>'
        return [*found, text((LEFT + self.width - RIGHT) / 2, self.height - 12, below, "middle"), turned]


def legend(lines: Sequence[tuple[str, str, str]], rest: str, place: tuple[int, int]) -> list[str]:
    """Return a line for each name with its colour and dashes, and a last one."""
    x, y = place
    found = []
    for name, color, dash in lines:
        found.append(f'<path d="M{x} {y}h28" stroke="{color}" stroke-width="2" stroke-dasharray="{dash}"/>')
        found.append(text(x + 36, y + 5, name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…", "start"))
        y += LINE
    return [*found, text(x, y + 5, rest, "start")] if rest else found


def text(x: float, y: float, content: str, anchor: str) -> str:
    """Return a text at a position."""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{INK}">{escape(content)}</text>'
