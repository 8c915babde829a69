"""Numbers of several methods in the same bins: points and a line for each method."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from collidekit.evaluation.plots.style import Plot, colours, figure, mark, save, with_ratio
from collidekit.evaluation.rows import Floats

MARKERS = "os^vDP*X<>"
Points = Mapping[str, tuple[Floats, Floats]]
"""Values and errors (B,) for each method."""


def plot_methods(
    stem: Path | None,
    texts: Sequence[str],
    label: str,
    panels: Sequence[tuple[str, Points]],
    order: Sequence[str],
    note: str = "",
    truth: tuple[Floats, Floats] | None = None,
    limits: tuple[float, float] | None = None,
    zero: bool = False,
) -> Plot:
    """Draw one or two panels over bins with labels (B,); the colour of a method is its position in ``order``, in all plots.

    Points of one bin are drawn side by side. ``truth`` is drawn in black in the first panel; ``limits`` are the limits of its axis; with
    ``zero`` the last panel has a line at 0.
    """
    shown = [name for name in order if any(name in points for _, points in panels)]
    shifts = np.linspace(-0.3, 0.3, len(shown)) if len(shown) > 1 else np.zeros(len(shown))
    places = np.arange(len(texts))
    with figure(7.4, 6.8 if len(panels) > 1 else 6.0) as canvas:
        every = list(with_ratio(canvas)[:, 0]) if len(panels) > 1 else [canvas.subplots()]
        for axes, (title, points) in zip(every, panels, strict=True):
            for edge in places[1:] - 0.5:
                axes.axvline(edge, color="0.85", linewidth=0.8, zorder=0)
            for name, shift in zip(shown, shifts, strict=True):
                if name in points:
                    k = list(order).index(name)
                    values, errors = points[name]
                    axes.errorbar(
                        places + shift, values, errors, fmt=MARKERS[k % len(MARKERS)], linestyle="-", markersize=5, linewidth=0.9,
                        elinewidth=1.4, color=colours(max(len(order), 7))[k], label=name,
                    )  # fmt: skip
            axes.set_ylabel(title, loc="top" if axes is every[0] else "center")
        if truth is not None:
            every[0].errorbar(
                places, *truth, xerr=0.46, fmt="none", color="black", linewidth=1.6, label="truth", zorder=9
            )
        every[0].set_ylim(*(limits or _range(panels[0][1], truth)))
        if zero:
            every[-1].axhline(0, color="black", linewidth=1, linestyle=":")
        every[-1].set_xticks(places, texts, fontsize=11 if len(texts) > 5 else 12)
        for axes in every:
            axes.tick_params(axis="x", which="minor", length=0)
        every[-1].set_xlim(-0.5, len(texts) - 0.5)
        every[-1].set_xlabel(label)
        every[0].legend(loc="upper center", ncols=3, fontsize=10, columnspacing=1.2)
        mark(every[0], note)
        return save(canvas, stem)


def _range(points: Points, truth: tuple[Floats, Floats] | None) -> tuple[float, float]:
    """Return the range from the lowest to the highest point, with room for the legend above; it begins at 0 if all are positive."""
    pairs = [*points.values(), *([truth] if truth else [])]
    ends = np.concatenate([values + sign * errors for values, errors in pairs for sign in (-1, 1)])
    ends = ends[np.isfinite(ends)]
    if not len(ends):
        return 0.0, 1.0
    low, high = float(ends.min()), float(ends.max())
    low = 0.0 if low >= 0 else low - 0.05 * (high - low)
    return low, high + 0.38 * max(high - low, 1e-9)
