"""Thresholds of working points in bins of a spectator."""

from pathlib import Path
from typing import Any

import numpy as np

from collidekit.evaluation.classification.points_in_bins import PointsInBins
from collidekit.evaluation.look import discriminator_label
from collidekit.evaluation.numbers import percent
from collidekit.evaluation.plots.efficiency import MARKERS, set_binned_axis
from collidekit.evaluation.plots.style import Plot, colours, figure, mark, save, with_ratio


def plot_points_in_bins(stem: Path | None, found: PointsInBins, label: str = "", note: str = "") -> Plot:
    """Draw the threshold of each working point in each bin, and the signal efficiency below; ``label`` is the x axis with its unit."""
    edges, count = found.edges, len(found.bins[0].points)
    with figure(7.0, 6.8) as canvas:
        main, below = with_ratio(canvas)[:, 0]
        set_binned_axis(main, edges)
        logarithmic = main.get_xscale() == "log"
        centres = np.sqrt(edges[1:] * edges[:-1]) if logarithmic else (edges[1:] + edges[:-1]) / 2
        across = np.stack([centres - edges[:-1], edges[1:] - centres])
        shown = [0.0, 1e-9]
        for index, colour in zip(range(count), colours(count), strict=True):
            points = [entry.points[index] for entry in found.bins]
            values = np.array([np.nan if point.threshold is None else point.threshold for point in points])
            kind = "mistag rate" if points[0].kind == "mistag" else "efficiency"
            style: dict[str, Any] = {"fmt": MARKERS[index % len(MARKERS)], "color": colour, "markersize": 5}
            main.errorbar(centres, values, None, across, label=f"{kind} {percent(points[0].target)}", **style)
            signal = [point.signal_efficiency for point in points]
            height = np.array([np.nan if one is None else one.value for one in signal])
            ends = [
                np.array([np.nan if one is None else getattr(one, end) for one in signal]) for end in ("low", "high")
            ]
            below.errorbar(centres, height, np.abs(np.stack([height - ends[0], ends[1] - height])), across, **style)
            shown += values[np.isfinite(values)].tolist()
        low, high = min(shown), max(shown)
        main.set_ylim(low - 0.04 * (high - low), high + (0.14 + 0.09 * -(-count // 2)) * (high - low))
        main.legend(loc="upper center", ncols=2)
        main.set_ylabel(f"threshold on {discriminator_label(found.discriminator)}")
        below.set_ylim(-0.04, 1.08)
        below.set_ylabel("signal\nefficiency", fontsize=11, loc="center")
        below.set_xlabel(label or found.variable)
        mark(main, note)
        canvas.align_ylabels()
        return save(canvas, stem)
