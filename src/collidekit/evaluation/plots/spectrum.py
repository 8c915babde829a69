"""Spectrum of a spectator for each class before and after a cut."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.spectrum import Spectrum
from collidekit.evaluation.look import class_label, discriminator_label
from collidekit.evaluation.plots.style import Plot, colours, figure, mark, save, with_ratio
from collidekit.evaluation.rows import Floats


def plot_spectrum(stem: Path | None, found: Spectrum, label: str = "", note: str = "") -> Plot:
    """Draw distributions of unit area before (dashed) and after (solid) the cut, and their ratio: flat if the cut does not change the shape.

    ``label`` is the x axis with its unit.
    """
    kept = [k for k in range(len(found.classes)) if found.before[0][k].sum() > 0]
    if not kept:
        raise CollidekitError(f"{found.variable}: no class has rows with a positive sum of weights")
    palette = colours(len(found.classes))
    edges, tops, ratios = found.edges, [0.0], [1.0]
    with figure(7.0, 6.8) as canvas:
        main, below = with_ratio(canvas)[:, 0]
        for k in kept:
            before, _ = _shape(found.before, k)
            main.stairs(before, edges, color=palette[k], linestyle="--", linewidth=1.2)
            tops.append(float(before.max()))
            if found.after[0][k].sum() <= 0:
                continue
            after, error = _shape(found.after, k)
            main.stairs(after, edges, color=palette[k], linewidth=1.8)
            shade: dict[str, Any] = {"fill": True, "color": palette[k], "alpha": 0.25, "linewidth": 0}
            main.stairs(after + error, edges, baseline=after - error, **shade)
            base = np.where(before > 0, before, np.nan)
            ratio, spread = after / base, error / base
            below.stairs(ratio, edges, color=palette[k], linewidth=1.6, baseline=None)
            below.stairs(np.nan_to_num(ratio + spread), edges, baseline=np.nan_to_num(ratio - spread), **shade)
            tops.append(float((after + error).max()))
            known = np.isfinite(ratio) & (spread < 0.5 * ratio)
            ratios += ratio[known].tolist()
        handles = [Line2D([], [], color=palette[k], label=class_label(found.classes[k])) for k in kept]
        handles += [
            Line2D([], [], color="grey", linestyle="--", label="all"),
            Line2D([], [], color="grey", label="after the cut"),
        ]
        rows = -(-len(handles) // 3)
        main.set_ylim(0, max(max(tops), 1e-12) * (1.15 + 0.09 * rows))
        main.set_xlim(edges[0], edges[-1])
        title = f"{discriminator_label(found.discriminator)} ≥ {found.threshold:.3g}"
        main.legend(handles=handles, loc="upper center", ncols=3, title=title)
        main.set_ylabel(f"fraction of entries / {edges[1] - edges[0]:.3g}{_unit(label)}")
        below.axhline(1, color="black", linewidth=0.8)
        low, high = min(ratios), max(ratios)
        below.set_ylim(max(0.0, low - 0.2 * (high - low) - 0.1), high + 0.2 * (high - low) + 0.1)
        below.set_ylabel("after / all", fontsize=11, loc="center")
        below.set_xlabel(label or found.variable)
        mark(main, note)
        canvas.align_ylabels()
        return save(canvas, stem)


def _shape(sums: tuple[Floats, Floats], k: int) -> tuple[Floats, Floats]:
    """Return heights of unit area and their errors, each (B,)."""
    total = sums[0][k].sum()
    return sums[0][k] / total, np.sqrt(sums[1][k]) / abs(total)


def _unit(label: str) -> str:
    return " " + label[label.rindex("[") + 1 : -1] if label.endswith("]") and "[" in label else ""
