"""Distribution of one input of the network for each class, before and after weighting."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from collidekit.evaluation.look import class_label
from collidekit.evaluation.plots.style import MOST_BANDS, Plot, colours, figure, mark, plain_log_axis, save, with_ratio
from collidekit.evaluation.report.input_histograms import DEFAULT, INVALID, OVER, UNDER, InputHistogram
from collidekit.evaluation.rows import Floats

LARGEST_RATIO = 4
"""Maximum ratio on a linear axis of ratios."""
LINES: dict[str, tuple[Any, float]] = {"before": ("--", 1.1), "after": ("-", 1.8)}


def plot_input(stem: str | Path | None, histogram: InputHistogram, reference: str = "", note: str = "") -> Plot:
    """Draw fractions of entries per bin for each class, and the ratio to the reference class (default: the first).

    Entries equal to the default value have a separate bin on the right; a text gives the fraction outside the range.
    More than six classes are drawn without error bands.
    """
    axis, classes = histogram.axis, histogram.classes
    base = classes.index(reference) if reference else 0
    variants = _variants(histogram)
    own_bin = any(histogram.share(DEFAULT, variant).max() > 0 for variant in variants)
    with figure(7.0, 6.6) as canvas:
        grid = with_ratio(canvas, (1.0, 0.11) if own_bin else (1.0,))
        heights = [_draw(grid[:, 0], histogram, variant, base) for variant in variants]
        if own_bin:
            heights += [_draw_default(grid[:, 1], histogram, variant, base) for variant in variants]
        _main_axis(grid[0, 0], histogram, np.concatenate([h.ravel() for h in heights]), variants)
        against = f"ratio to\n{class_label(classes[base])}" if len(classes) > 1 else "ratio"
        grid[1, 0].set_ylabel(against, fontsize=11, loc="center")
        _ratio_axis(grid[1, 0], histogram, variants, base)
        grid[1, 0].set_xlabel(axis.label)
        margin = 0.0 if axis.kind == "continuous" else 0.25 * (axis.high - axis.low) / axis.bins
        grid[0, 0].set_xlim(axis.low - margin, axis.high + margin)
        if text := _outside(histogram):
            canvas.supxlabel(text, x=0.02, ha="left", fontsize=9, color="0.25")
        mark(grid[0, 0], note, grid[0, -1])
        return save(canvas, stem)


def _variants(histogram: InputHistogram) -> list[str]:
    """Return the variants to draw; only one if the weighting changes nothing."""
    before, after = _fractions(histogram, "before")[0], _fractions(histogram, "after")[0]
    return ["after"] if np.allclose(before, after, rtol=1e-6, atol=1e-12) else ["before", "after"]


def _fractions(histogram: InputHistogram, variant: str) -> tuple[Floats, Floats]:
    """Return the fraction of all entries of the class in each bin and its error, each (classes, bins)."""
    sums, squares = histogram.inside(variant)
    total = histogram.sums[0 if variant == "before" else 1].sum(axis=1, keepdims=True)
    safe = np.where(total > 0, total, 1.0)
    return sums / safe, np.sqrt(squares) / safe


def _ratios(histogram: InputHistogram, variant: str, base: int) -> tuple[Floats, Floats]:
    value, error = _fractions(histogram, variant)
    reference = np.where(value[base] > 0, value[base], np.nan)
    return value / reference, error / reference


def _draw(panels: Any, histogram: InputHistogram, variant: str, base: int) -> Floats:
    value, error = _fractions(histogram, variant)
    ratio, ratio_error = _ratios(histogram, variant, base)
    edges, (line, width) = histogram.axis.edges, LINES[variant]
    for index, colour in enumerate(colours(len(histogram.classes))):
        for axes, height, spread in (
            (panels[0], value[index], error[index]),
            (panels[1], ratio[index], ratio_error[index]),
        ):
            whole = axes is panels[0] and histogram.axis.kind != "continuous"
            axes.stairs(height, edges, color=colour, linestyle=line, linewidth=width, baseline=0 if whole else None)
            if variant == "after" and len(histogram.classes) <= MOST_BANDS:
                shade = {"fill": True, "color": colour, "alpha": 0.25, "linewidth": 0}
                low, high = np.nan_to_num(height - spread), np.nan_to_num(height + spread)
                axes.stairs(high, edges, baseline=low, **shade)
    return value


def _draw_default(panels: Any, histogram: InputHistogram, variant: str, base: int) -> Floats:
    shares, (line, width) = histogram.share(DEFAULT, variant), LINES[variant]
    for share, colour in zip(shares, colours(len(shares)), strict=True):
        panels[0].plot([0, 1], [share, share], color=colour, linestyle=line, linewidth=width)
        if shares[base] > 0:
            panels[1].plot([0, 1], [share / shares[base]] * 2, color=colour, linestyle=line, linewidth=width)
    panels[1].set_xlim(0, 1)
    panels[1].set_xticks([0.5], [f"missing\n(= {histogram.axis.default:g})"], fontsize=9)
    for axes in panels:
        axes.tick_params(axis="x", which="both", length=0)
    return np.asarray(shares)


def _main_axis(axes: Axes, histogram: InputHistogram, heights: Floats, variants: list[str]) -> None:
    names = histogram.classes
    handles = [
        Line2D([], [], color=c, label=class_label(name)) for name, c in zip(names, colours(len(names)), strict=True)
    ]
    columns = 2 if len(handles) <= 4 else 3
    share = 0.12 + 0.055 * max(-(-len(handles) // columns), len(variants))
    positive = heights[heights > 0]
    top, bottom = (positive.max(), positive.min()) if len(positive) else (1.0, 0.1)
    if len(positive) and top / np.median(positive) > 30:
        bottom = max(bottom / 2, top * 1e-6)
        axes.set_yscale("log")
        axes.set_ylim(bottom, top * (top / bottom) ** (share / (1 - share)))
    else:
        axes.set_ylim(0, top / (1 - share))
    width = (histogram.axis.high - histogram.axis.low) / histogram.axis.bins
    per_bin = "" if histogram.axis.kind != "continuous" else f" / {width:.3g}{_unit(histogram.axis.label)}"
    axes.set_ylabel(f"fraction of entries{per_bin}")
    if len(variants) > 1:
        lines = [
            Line2D([], [], color="grey", linestyle=LINES[v][0], label=f"{v} weighting") for v in reversed(variants)
        ]
        axes.add_artist(axes.legend(handles=lines, loc="upper right"))
    axes.legend(handles=handles, loc="upper left", ncols=columns)
    if histogram.axis.kind != "continuous":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
        axes.xaxis.set_minor_locator(NullLocator())


def _unit(label: str) -> str:
    return " " + label[label.rindex("[") + 1 : -1] if label.endswith("]") and "[" in label else ""


def _outside(histogram: InputHistogram) -> str:
    """Return a text with the fraction of entries outside the axis, for the class with most of them, and the bins with clipped values."""
    axis, parts = histogram.axis, []
    low, high = axis.bounds
    ends = [f"{sign} {end:g}" for sign, end in (("\u2264", low), ("\u2265", high)) if end is not None]
    if ends:
        which = (
            "first and last bins hold" if len(ends) == 2 else "first bin holds" if low is not None else "last bin holds"
        )
        parts.append(f"{which} all values {' and '.join(ends)}")
    shares = [
        f"{100 * share:.2g} % {text}"
        for slot, text in ((UNDER, "below"), (OVER, "above"), (INVALID, "NaN or infinite"))
        if (share := histogram.share(slot, "before").max()) > 0
    ]
    if shares:
        of = " (largest of all classes)" if len(histogram.classes) > 1 else ""
        parts.append(f"outside the axis{of}: {', '.join(shares)}")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:]


def _ratio_axis(axes: Axes, histogram: InputHistogram, variants: list[str], base: int) -> None:
    """Set the axis to all ratios with a relative error below one half; it is logarithmic if they span a large range."""
    kept = [np.array([0.9, 1.1])]
    for variant in variants:
        ratio, error = _ratios(histogram, variant, base)
        with np.errstate(invalid="ignore"):
            kept.append(ratio[np.isfinite(ratio) & (error < 0.5 * ratio)])
    values = np.concatenate(kept)
    low, high = float(values.min()), float(values.max())
    if high > LARGEST_RATIO:
        axes.set_ylim(max(low, 1e-2) / 1.3, 1.3 * min(high, 1e3))
        plain_log_axis(axes)
    else:
        axes.set_ylim(max(0.0, low - 0.15 * (high - low) - 0.05), high + 0.15 * (high - low) + 0.05)
