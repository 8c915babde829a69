"""The ROC curve that the plot of the leaderboard shows, thinned."""

import numpy as np

from collidekit.benchmark.scoring.metrics.registry import find_metric
from collidekit.benchmark.scoring.metrics.roc import Rocs, auc, background_rejection, sides
from collidekit.benchmark.scoring.plan import ScoringPlan
from collidekit.benchmark.scoring.result import Curve
from collidekit.evaluation.classification.bootstrap import GRID
from collidekit.evaluation.rows import Floats, Ints

SHOWN = slice(1, None, 2)
"""Points of the grid that are kept: signal efficiencies 0.01, 0.02, ... 1."""


def scored_curve(plan: ScoringPlan, rocs: Rocs, kept: Ints) -> Curve | None:
    """Return the curve of the first metric that is of a ROC curve, in the nominal sample; None where there is no such metric."""
    ordered = sorted(plan.metrics, key=lambda metric: metric.name != plan.leading)
    metric = next((m for m in ordered if find_metric(m.metric).measure in (auc, background_rejection)), None)
    if metric is None:
        return None
    signal, background = sides(rocs.sample, metric.settings)
    found = rocs.of(signal, background)
    summary = np.median if plan.rule == "median" else np.mean
    chosen = [found[index] for index in kept]
    efficiency = summary([run.on_grid for run in chosen], axis=0)
    low, high = np.nanpercentile(summary([run.drawn.curve for run in chosen], axis=0), [15.87, 84.13], axis=0)
    return Curve(
        signal=" + ".join(signal),
        background=" + ".join(background),
        signal_efficiency=_rounded(GRID),
        background_efficiency=_rounded(efficiency),
        low=_rounded(low),
        high=_rounded(high),
        signal_rows=found[0].signal_rows,
        background_rows=found[0].background_rows,
    )


def _rounded(values: Floats) -> list[float]:
    return [float(f"{value:.6g}") for value in values[SHOWN]]
