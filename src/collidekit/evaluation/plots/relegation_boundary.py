"""Decision regions of a network in a plane, with the region that it relegates."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.ndimage import gaussian_filter

from collidekit.errors import CollidekitError
from collidekit.evaluation.plots.confusion import RELEGATED
from collidekit.evaluation.plots.relegation import GREY, class_colours
from collidekit.evaluation.plots.style import Plot, figure, mark, save
from collidekit.evaluation.rows import Floats, Ints

MARKERS = "o^sDvP*X"
MOST_POINTS = 2000
"""Maximum number of points of each class."""
TINT, GREY_TINT = 0.28, 0.6
"""Opacity of the colour in the region of a class, and of grey in the relegated region."""


def plot_boundary(
    stem: Path | None,
    points: Floats,
    labels: Ints,
    names: Sequence[str],
    grid_x: Floats,
    grid_y: Floats,
    decisions: Ints,
    axes: tuple[str, str],
    note: str = "",
) -> Plot:
    """Draw decisions (H, G) at ``grid_y`` (H,) and ``grid_x`` (G,), and points (N, 2) of the classes ``labels`` (N,).

    A decision is the index of a class in ``names`` (K,), or K for relegated. ``axes`` are the labels of x and y.
    """
    if decisions.shape != (len(grid_y), len(grid_x)):
        raise CollidekitError(
            f"decisions {decisions.shape} must have the shape (y, x) of the grid, {(len(grid_y), len(grid_x))}"
        )
    count = len(names)
    fills = [_tint(colour, TINT) for colour in class_colours(count)] + [_tint(GREY, GREY_TINT)]
    with figure(8.0, 5.8) as canvas:
        plane = canvas.subplots()
        style: dict[str, Any] = {"cmap": ListedColormap(fills), "vmin": -0.5, "vmax": count + 0.5, "shading": "nearest"}
        plane.pcolormesh(grid_x, grid_y, decisions, rasterized=True, zorder=0, **style)
        for index in range(count + 1):
            inside = gaussian_filter((decisions == index).astype(np.float64), 1, mode="nearest")  # lines, not stairs
            if inside.min() < 0.5 < inside.max():
                plane.contour(grid_x, grid_y, inside, levels=[0.5], colors="black", linewidths=0.9, zorder=3)
        thinned = _draw_points(plane, points, labels, count)
        plane.set_xlim(grid_x[0], grid_x[-1])
        plane.set_ylim(grid_y[0], grid_y[-1])
        plane.set_xlabel(axes[0])
        plane.set_ylabel(axes[1])
        title = f"decision, and up to\n{MOST_POINTS:,} events per class" if thinned else "decision and truth"
        _legend(plane, names, fills, title)
        mark(plane, note)
        return save(canvas, stem)


def _tint(colour: str, share: float) -> tuple[float, float, float]:
    red, green, blue = (1 - share * (1 - part) for part in to_rgb(colour))
    return red, green, blue


def _marker(colour: str, marker: str, alpha: float) -> dict[str, Any]:
    dark = tuple(0.75 * part for part in to_rgb(colour))
    return {"marker": marker, "markerfacecolor": colour, "markeredgecolor": dark, "alpha": alpha, "linestyle": "none"}


def _draw_points(plane: Axes, points: Floats, labels: Ints, count: int) -> bool:
    """Draw the points of all classes mixed, so that no class hides another; return whether some points were left out."""
    thinned = False
    for part in range(5):  # fifths in turn
        for index, (colour, marker) in enumerate(zip(class_colours(count), cycle(MARKERS), strict=False)):
            mine = np.flatnonzero(labels == index)
            if part == 0 and len(mine) > MOST_POINTS:
                thinned = True
            kept = np.random.default_rng(index).permutation(mine)[:MOST_POINTS][part::5]
            style = _marker(colour, marker, 0.35)
            plane.plot(*points[kept].T, markersize=3, markeredgewidth=0.3, zorder=2, rasterized=True, **style)
    return thinned


def _legend(plane: Axes, names: Sequence[str], fills: Sequence[tuple[float, float, float]], title: str) -> None:
    """Draw a legend beside the plane: the colour of each region, with the marker of its events."""
    handles: list[Any] = []
    for fill, colour, marker in zip(fills, class_colours(len(names)), cycle(MARKERS), strict=False):
        patch = Patch(facecolor=fill, edgecolor="black", linewidth=0.7)
        handles.append((patch, Line2D([], [], markersize=6, **_marker(colour, marker, 1.0))))
    handles.append(Patch(facecolor=fills[-1], edgecolor="black", linewidth=0.7))
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0}
    shape: dict[str, Any] = {"handlelength": 2.0, "handleheight": 1.3, "alignment": "left", "title_fontsize": 10}
    plane.legend(
        handles, [*names, RELEGATED], title=title, handler_map={tuple: HandlerTuple(ndivide=1)}, **place, **shape
    )
