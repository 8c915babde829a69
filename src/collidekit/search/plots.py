"""Plots of a search: history, importance, parallel coordinates, a slice for each setting."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from collidekit.evaluation.grid.results import title
from collidekit.evaluation.plots.style import PETROFF_6, Plot, figure, mark, save
from collidekit.search.axes import SettingScale, label
from collidekit.search.study import SearchPlan
from collidekit.search.trials import TrialRecord

BLUE, ORANGE, RED, GREY = PETROFF_6[0], PETROFF_6[1], PETROFF_6[2], PETROFF_6[4]
COLOURS = "viridis"


def _complete(found: Sequence[TrialRecord]) -> list[TrialRecord]:
    return [trial for trial in found if trial.state == "complete"]


def _values(found: Sequence[TrialRecord]) -> list[float]:
    """Return the values of complete and pruned trials."""
    return [float(trial.value or 0.0) for trial in found]


def _limits(axes: Axes, found: Sequence[TrialRecord], direction: str) -> None:
    """Limit the axis to the better values: values far beyond the others would hide them."""
    values = np.array(_values(_complete(found)))
    if len(values) < 4:
        return
    first, third = np.percentile(values, [25, 75])
    reach = 3 * (third - first)
    inside = values[(values >= first - reach) & (values <= third + reach)]
    if len(inside) == len(values) or not reach:
        return
    margin = 0.08 * (inside.max() - inside.min())
    if direction == "minimize":
        axes.set_ylim(top=inside.max() + margin)
    else:
        axes.set_ylim(bottom=inside.min() - margin)
    axes.text(
        0.99, 0.02, f"{len(values) - len(inside)} beyond the axis", transform=axes.transAxes, ha="right", fontsize=10
    )


def _ticks_of_failed(axes: Axes, places: Sequence[float]) -> None:
    """Mark trials without a value at the lower edge."""
    if places:
        axes.plot(
            places, [0.02] * len(places), "v", color=RED, markersize=8, transform=axes.get_xaxis_transform(),
            label="failed or lost", clip_on=False,
        )  # fmt: skip


def plot_history(stem: Path | None, found: Sequence[TrialRecord], plan: SearchPlan, note: str) -> Plot:
    """Draw the value of each trial by its number, and the best value so far."""
    with figure(8.0, 5.5) as canvas:
        axes = canvas.subplots()
        complete = _complete(found)
        numbers = [trial.number for trial in complete]
        values = _values(complete)
        best = (np.minimum if plan.direction == "minimize" else np.maximum).accumulate(values)
        errors = [trial.spread or 0.0 for trial in complete]
        drawn: dict[str, Any] = {"yerr": errors} if any(errors) else {}
        spread = ", ± standard deviation over seeds" if drawn else ""
        axes.errorbar(numbers, values, fmt="o", color=BLUE, markersize=6, label=f"complete{spread}", **drawn)
        axes.step(
            [*numbers, max(t.number for t in found)],
            [*best, best[-1]],
            where="post",
            color="black",
            label="best so far",
        )
        pruned = [trial for trial in found if trial.state == "pruned" and trial.value is not None]
        if pruned:
            axes.plot([t.number for t in pruned], _values(pruned), "x", color=ORANGE, markersize=7, markeredgewidth=2,
                      label="pruned, at its last comparison")  # fmt: skip
        _limits(axes, found, plan.direction)
        _ticks_of_failed(axes, [t.number for t in found if t.state in ("failed", "lost")])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("trial")
        axes.set_ylabel(title(plan.metric))
        axes.legend()
        mark(axes, note)
        return save(canvas, stem)


def plot_importance(stem: Path | None, found: Mapping[str, tuple[float, float]], plan: SearchPlan, note: str) -> Plot:
    """Draw the fraction of the variance that each setting explains."""
    with figure(8.0, 1.6 + 0.55 * len(found)) as canvas:
        axes = canvas.subplots()
        names = {one.name: label(one) for one in plan.space}
        places = range(len(found))[::-1]
        axes.barh(
            places, [mean for mean, _ in found.values()], xerr=[error for _, error in found.values()], color=BLUE, height=0.6,
            error_kw={"capsize": 3},
        )  # fmt: skip
        axes.set_yticks(places, [names[name] for name in found])
        axes.tick_params(axis="y", which="both", left=False, right=False)
        axes.set_xlim(left=0)
        axes.set_xlabel(f"fraction of the variance of {title(plan.metric)}")
        mark(axes, note)
        return save(canvas, stem)


def plot_parallel(stem: Path | None, found: Sequence[TrialRecord], plan: SearchPlan, note: str) -> Plot:
    """Draw a line for each trial through its settings to its value; pruned trials are grey and have no value."""
    complete = sorted(_complete(found), key=lambda t: float(t.value or 0.0), reverse=plan.direction == "minimize")
    pruned = [trial for trial in found if trial.state == "pruned"]
    scales = {one.name: SettingScale(one) for one in plan.space}
    values = np.array(_values(complete))
    low, high = float(values.min()), float(values.max())
    if high == low:
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(low) or 1.0)
    with figure(max(7.0, 2.1 * (len(scales) + 1)), 5.4) as canvas:
        axes = canvas.subplots()
        axes.set_xlim(-0.4, len(scales) + 0.55)
        axes.set_ylim(-0.05, 1.05)
        axes.tick_params(which="both", left=False, right=False, top=False, bottom=False, labelleft=False)
        axes.minorticks_off()
        for side in axes.spines.values():
            side.set_visible(False)
        names = [label(one) + ("\n(log axis)" if scales[one.name].log else "") for one in plan.space]
        axes.set_xticks(range(len(names) + 1), [*names, title(plan.metric)])
        for x, scale in enumerate(scales.values()):
            _axis(axes, x, scale.ticks())
        ticks = [float(tick) for tick in MaxNLocator(6).tick_values(low, high) if low <= tick <= high]
        _axis(axes, len(scales), [((tick - low) / (high - low), f"{tick:.5g}") for tick in ticks], right=True)
        for i, trial in enumerate(pruned):
            line = [scales[name].fraction(trial.settings[name]) for name in scales]
            axes.plot(range(len(line)), line, color=GREY, linewidth=0.8, linestyle=":", label="" if i else "pruned")
        for i, trial in enumerate(complete):
            share = (float(trial.value or 0.0) - low) / (high - low)
            better = 1 - share if plan.direction == "minimize" else share
            line = [*(scales[name].fraction(trial.settings[name]) for name in scales), share]
            last: dict[str, Any] = (
                {"linewidth": 4.0, "label": "best trial"} if i == len(complete) - 1 else {"linewidth": 1.4}
            )
            axes.plot(
                range(len(line)), line, color=colormaps[COLOURS](0.92 * (1 - better)), marker="o", markersize=4, **last
            )
        axes.legend(loc="upper left", bbox_to_anchor=(0.0, -0.12), ncols=2, borderaxespad=0.0)
        said = f"colour: {title(plan.metric)}, dark is better"
        axes.text(1.0, -0.16, said, transform=axes.transAxes, ha="right", va="top", fontsize=11)
        mark(axes, note)
        return save(canvas, stem)


def _axis(axes: Axes, x: int, ticks: Sequence[tuple[float, str]], right: bool = False) -> None:
    axes.axvline(x, ymin=0.045, ymax=0.955, color="black", linewidth=1.1, zorder=0)
    for place, text in ticks:
        axes.plot([x - 0.02, x + 0.02], [place, place], color="black", linewidth=1.1, zorder=0)
        axes.annotate(
            text, (x, place), xytext=(8, 0) if right else (-6, 9), textcoords="offset points", ha="left" if right else "right",
            va="center", fontsize=11, zorder=5, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
        )  # fmt: skip


def plot_slices(folder: Path | None, found: Sequence[TrialRecord], plan: SearchPlan, note: str) -> list[Plot]:
    """Draw the values of the trials by each setting, coloured by the number of the trial; one plot for each setting."""
    drawn = []
    complete, pruned = _complete(found), [t for t in found if t.state == "pruned" and t.value is not None]
    failed = [trial for trial in found if trial.state == "failed" and trial.settings]
    best = min(complete, key=lambda t: float(t.value or 0.0) * (1 if plan.direction == "minimize" else -1))
    for i, one in enumerate(plan.space):
        scale = SettingScale(one)

        def places(trials: Sequence[TrialRecord], scale: SettingScale = scale, name: str = one.name) -> list[float]:
            return [scale.place(trial.settings[name]) for trial in trials]

        with figure(6.4, 5.2) as canvas:
            axes = canvas.subplots()
            points = axes.scatter(
                places(complete), _values(complete), c=[t.number for t in complete], cmap=COLOURS, s=42, zorder=3,
                vmin=0, vmax=max(t.number for t in found),
            )  # fmt: skip
            canvas.colorbar(points, ax=axes, label="trial")
            axes.plot(places([best]), _values([best]), "*", color="black", markersize=15, zorder=4, label="best trial")
            if pruned:
                axes.plot(places(pruned), _values(pruned), "x", color=ORANGE, markersize=7, markeredgewidth=2,
                          zorder=2, label="pruned, at its last comparison")  # fmt: skip
            scale.arrange(axes)
            _limits(axes, found, plan.direction)
            _ticks_of_failed(axes, places(failed))
            axes.set_xlabel(label(one))
            axes.set_ylabel(title(plan.metric))
            axes.legend()
            mark(axes, note)
            drawn.append(save(canvas, folder / f"slice_{i + 1}" if folder else None))
    return drawn
