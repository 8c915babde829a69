"""Feature importance of a sample: a bar for each feature, by permutation and by gradients."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from collidekit.errors import CollidekitError
from collidekit.evaluation.importance.features import FeatureImportance, SampleImportance
from collidekit.evaluation.importance.of_targets import TargetImportance
from collidekit.evaluation.plots.style import Plot, colours, figure, mark, save

Numbers = list[tuple[float, float]]


def plot_importance(stem: Path | None, found: SampleImportance | TargetImportance, note: str = "") -> Plot:
    """Draw bars with errors, the most important feature at the top; whole inputs are above the single features.

    The left panel is the drop in AUC (or in the figure of a target) if a feature is permuted. The right panel is the mean absolute attribution. A
    panel without numbers is left out.
    """
    shown = sorted(found.features, key=_rank)
    panels = _panels(found, shown)
    if not panels:
        raise CollidekitError(f"{found.score}: the network uses no feature, so there is no importance to draw")
    inputs = list(dict.fromkeys(feature.input for feature in found.features))
    colour = dict(zip(inputs, colours(len(inputs)), strict=True))
    with figure(3.2 + 4.2 * len(panels), 1.6 + 0.3 * len(shown)) as canvas:
        grid = canvas.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (title, numbers) in zip(grid, panels.items(), strict=True):
            _draw(axes, numbers, [colour[feature.input] for feature in shown], title)
        first = grid[0]
        first.set_yticks(range(len(shown)), [feature.label for feature in shown])
        first.set_ylim(-0.7, len(shown) - 0.3)
        if whole := sum(feature.whole for feature in shown):
            for axes in grid:
                axes.axhline(len(shown) - whole - 0.5, color="grey", linewidth=0.8)
        handles = [Patch(color=colour[name], label=name) for name in inputs]
        grid[-1].legend(handles=handles, loc="lower right")
        mark(first, note, grid[-1])
        return save(canvas, stem)


def _rank(feature: FeatureImportance) -> tuple[bool, float]:
    """Return the sort key of a feature; the last one is drawn at the top."""
    if feature.drop is not None:
        return feature.whole, feature.drop.value
    return feature.whole, feature.attribution.size if feature.attribution else 0.0


def _panels(found: SampleImportance | TargetImportance, shown: Sequence[FeatureImportance]) -> dict[str, Numbers]:
    panels: dict[str, Numbers] = {}
    drops = [feature.drop for feature in shown if feature.drop]
    if drops:
        panels[found.drop_title] = [(drop.value, drop.error) for drop in drops]
    sizes = [feature.attribution for feature in shown if feature.attribution]
    if sizes and isinstance(found, SampleImportance):
        panels[f"mean |attribution| to\n{found.label}"] = [(size.size, size.size_error) for size in sizes]
    return panels


def _draw(axes: Axes, numbers: Numbers, colour: list[str], title: str) -> None:
    values, errors = np.array(numbers).T
    style = {"ecolor": "black", "elinewidth": 1.2, "capsize": 2}
    axes.barh(np.arange(len(values)), values, xerr=errors, height=0.7, color=colour, error_kw=style)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlim(min(0.0, 1.1 * float((values - errors).min())), 1.08 * float((values + errors).max()))
    axes.set_xlabel(title)
    axes.tick_params(axis="y", which="both", length=0)
    axes.minorticks_on()
    axes.yaxis.set_tick_params(which="minor", length=0)
