"""Effect of attacks on AUC, rejection and the shape of a discriminator, and on single features."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from collidekit.errors import CollidekitError
from collidekit.evaluation.look import class_label, discriminator_label
from collidekit.evaluation.plots.shapes import score_edges
from collidekit.evaluation.plots.style import Plot, colours, figure, mark, plain_log_axis, save, with_ratio
from collidekit.evaluation.robustness.measure import EFFICIENCY, NONE, OWN, Carried, Line
from collidekit.inference.predictions import Predictions

LINES = {OWN: "-", NONE: "-"}
TRANSFERRED = "--"
MARKERS = "osD^vPX*"


def plot_robustness(stem: Path | None, lines: Sequence[Line], discriminator: str, note: str = "") -> Plot:
    """Draw AUC (above) and 1/eB (below) of one discriminator against the magnitude, with a column for each attack.

    Each kind of tagger has a colour. Lines are solid for its own gradient or none, and dashed for the gradient of another kind. Bars are the
    statistical error and the spread over seeds in quadrature.
    """
    mine = [line for line in lines if line.discriminator == discriminator]
    attacks = list(dict.fromkeys(line.attack for line in mine if line.attack != "nominal"))
    kinds = list(dict.fromkeys(line.kind for line in mine))
    if not attacks:
        raise CollidekitError(f"discriminator {discriminator}: no attack was made, so there is nothing to draw")
    colour = dict(zip(kinds, colours(len(kinds)), strict=True))
    with figure(1.6 + 3.3 * len(attacks), 7.4) as canvas:
        grid = canvas.subplots(2, len(attacks), sharex="col", sharey="row", squeeze=False)
        for column, attack in enumerate(attacks):
            for number, kind in enumerate(kinds):
                of_kind = [line for line in mine if line.kind == kind]
                for gradient in dict.fromkeys(line.gradient for line in of_kind if line.attack == attack):
                    curve = [line for line in of_kind if line.attack == "nominal"]
                    curve += [line for line in of_kind if (line.attack, line.gradient) == (attack, gradient)]
                    style = {"color": colour[kind], "marker": MARKERS[number % len(MARKERS)]}
                    style["linestyle"] = LINES.get(gradient, TRANSFERRED)
                    _draw(list(grid[:, column]), curve, style)
            place: dict[str, Any] = {"transform": grid[0, column].transAxes, "fontsize": 13, "fontweight": "bold"}
            grid[0, column].text(0.05, 0.05, attack, **place)
            largest = max(line.magnitude for line in mine if line.attack == attack)
            grid[1, column].set_xlim(-0.04 * largest, 1.06 * largest)
        grid[0, 0].set_ylabel(f"AUC of {discriminator_label(discriminator)}")
        limits = "; arrows: lower limits" if any(line.rejection_limit for line in mine) else ""
        grid[1, 0].set_ylabel(rf"$1/\varepsilon_B$ at $\varepsilon_S$ = {EFFICIENCY:g}{limits}")
        _rejection_limits(grid[1, 0], mine)
        plain_log_axis(grid[1, 0])
        grid[1, -1].set_xlabel("magnitude of the attack")
        canvas.legend(handles=_legend(kinds, colour, mine), loc="outside lower center", ncols=min(len(kinds) + 2, 4))
        mark(grid[0, 0], note, grid[0, -1])
        return save(canvas, stem)


def _draw(panels: Sequence[Axes], curve: Sequence[Line], style: dict[str, Any]) -> None:
    x = [line.magnitude for line in curve]
    bars: dict[str, Any] = {"markersize": 4.5, "linewidth": 1.4, "elinewidth": 1.2, "capsize": 2, **style}
    panels[0].errorbar(x, [line.auc for line in curve], [line.shown_error for line in curve], **bars)
    errors = np.array([np.hypot(line.rejection_error or 0.0, line.rejection_spread or 0.0) for line in curve])
    limits = np.array([line.rejection_limit for line in curve])
    values = np.array([line.rejection for line in curve])
    errors[limits] = 0.25 * values[limits]  # the length of an arrow
    panels[1].errorbar(x, values, errors, lolims=limits, **bars)


def _rejection_limits(axes: Axes, lines: Sequence[Line]) -> None:
    """Set the axis to all points with their errors; the lower end of an error that reaches 0 is cut off."""
    values = np.array([line.rejection for line in lines])
    errors = np.array([np.hypot(line.rejection_error or 0.0, line.rejection_spread or 0.0) for line in lines])
    axes.set_ylim(np.maximum(values - errors, values / 3).min() / 1.3, (values + errors).max() * 1.4)


def _legend(kinds: Sequence[str], colour: dict[str, str], lines: Sequence[Line]) -> list[Line2D]:
    found = [
        Line2D([], [], color=colour[kind], marker=MARKERS[number % len(MARKERS)], markersize=5, label=kind)
        for number, kind in enumerate(kinds)
    ]
    if any(line.gradient not in (OWN, NONE) for line in lines):
        found.append(Line2D([], [], color="grey", linestyle="-", label="own gradient, or none"))
        found.append(Line2D([], [], color="grey", linestyle="--", label="transferred gradient"))
    return found


def plot_attacked_shapes(
    stem: Path | None, before: Predictions, after: Predictions, name: str, bins: int = 30, note: str = ""
) -> Plot:
    """Draw a discriminator of each class before (dashed) and after (solid) an attack, with unit area, and the ratio of the two."""
    edges = score_edges(before, name, bins)
    classes = before.classes
    with figure(7.0, 6.8) as canvas:
        main, ratio = with_ratio(canvas)[:, 0]
        heights = []
        for index, colour in enumerate(colours(len(classes))):
            rows = before.labels == index
            if (total := float(before.weights[rows].sum())) <= 0:
                continue
            weights = before.weights[rows] / total
            old, new = (np.histogram(p.discriminator(name)[rows], edges, weights=weights)[0] for p in (before, after))
            error = np.sqrt(np.histogram(after.discriminator(name)[rows], edges, weights=weights**2)[0])
            main.stairs(old, edges, color=colour, linestyle="--", linewidth=1.3)
            main.stairs(new, edges, color=colour, linewidth=1.8)
            known = np.where(old > 0, old, np.nan)
            ratio.stairs(new / known, edges, color=colour, linewidth=1.6, baseline=None)
            low, high = (np.nan_to_num((new + sign * error) / known) for sign in (-1, 1))
            ratio.stairs(high, edges, baseline=low, fill=True, color=colour, alpha=0.25, linewidth=0)
            heights += [old, new]
        values = np.concatenate(heights)
        low, top = values[values > 0].min() / 2, values.max()
        main.set_yscale("log")
        main.set_ylim(low, top * (top / low) ** 0.4)
        main.set_xlim(edges[0], edges[-1])
        handles = [
            Line2D([], [], color=c, label=class_label(n)) for n, c in zip(classes, colours(len(classes)), strict=True)
        ]
        handles += [Line2D([], [], color="grey", linestyle="--", label="not attacked")]
        handles += [Line2D([], [], color="grey", label="attacked")]
        main.legend(handles=handles, loc="upper center", ncols=3)
        main.set_ylabel(f"fraction of entries / {edges[1] - edges[0]:.2g}")
        ratio.axhline(1, color="black", linewidth=0.8)
        ratio.set_ylim(0.1, 10)
        plain_log_axis(ratio)
        ratio.set_ylabel("attacked /\nnot attacked", fontsize=11, loc="center")
        ratio.set_xlabel(f"discriminator {discriminator_label(name)}")
        mark(main, note)
        return save(canvas, stem)


def plot_carried(stem: Path | None, found: Sequence[Carried], name: str, note: str = "", most: int = 20) -> Plot:
    """Draw the loss of AUC if only one feature is attacked, as bars with the largest at the top."""
    if not found:
        raise CollidekitError("no feature was attacked alone: nothing to draw")
    shown = list(found[:most])[::-1]
    inputs = list(dict.fromkeys(entry.input for entry in found))
    colour = dict(zip(inputs, colours(len(inputs)), strict=True))
    with figure(7.6, 1.8 + 0.3 * len(shown)) as canvas:
        axes = canvas.subplots()
        values, errors = [entry.loss for entry in shown], [entry.error for entry in shown]
        bars: dict[str, Any] = {"ecolor": "black", "elinewidth": 1.2, "capsize": 2}
        places = np.arange(len(shown))
        axes.barh(places, values, xerr=errors, height=0.7, color=[colour[one.input] for one in shown], error_kw=bars)
        axes.set_yticks(range(len(shown)), [entry.feature for entry in shown])
        axes.set_ylim(-0.7, len(shown) - 0.3)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.minorticks_on()
        axes.tick_params(axis="y", which="both", length=0)
        axes.ticklabel_format(axis="x", style="plain")
        axes.set_xlabel(f"loss of AUC of {discriminator_label(name)}, only this feature attacked")
        handles = [Line2D([], [], color=colour[key], linewidth=7, label=key) for key in inputs]
        axes.legend(handles=handles, loc="lower right")
        mark(axes, note)
        return save(canvas, stem)
