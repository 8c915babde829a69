"""Permutation importance for targets: the loss of an assignment's efficiency, or of the precision of numbers.

The figure is the fraction of complete rows with a right assignment, or the mean absolute residual of all values of a target.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from collidekit.analysis.schema import Analysis
from collidekit.analysis.targets import Assignment, Regression
from collidekit.dataset.batch import Batch
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.evaluation.importance.features import ROUNDING, FeatureImportance
from collidekit.evaluation.importance.items import items, whole_inputs
from collidekit.evaluation.importance.permutation import Drop, drop_of, permuted
from collidekit.files import plain
from collidekit.models.tagger import Tagger
from collidekit.objectives.targets import AssignmentLoss
from collidekit.progress import counting
from collidekit.sealed import read_as

Floats = NDArray[np.float64]
EFFICIENCY = "efficiency"


@dataclass(frozen=True)
class TargetImportance:
    """Importance for one target; ``value`` is its figure without permutation, ``rows`` the number of rows with known or complete truth.

    The drop of a feature is the loss of efficiency, or the growth of the residuals.
    """

    target: str
    figure: str
    rows: int
    value: float
    error: float
    features: tuple[FeatureImportance, ...]
    unused: tuple[str, ...]

    @property
    def score(self) -> str:
        """Return the name in titles and file names."""
        return self.target

    @property
    def drop_title(self) -> str:
        """Return the label of the drop of a feature, for tables and axes."""
        return f"{'drop' if self.figure == EFFICIENCY else 'growth'} of {self.figure}, {self.target}"

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers for JSON."""
        content: dict[str, Any] = plain(asdict(self))
        return content

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "TargetImportance":
        """Return the object that ``as_dict`` wrote."""
        return read_as(cls, content)


def find_targets(analysis: Analysis, names: Sequence[str] = ()) -> list[str]:
    """Return the targets of rows with these names, or all; CollidekitError for an unknown name."""
    known = list(analysis.row_targets)
    for name in names:
        if name not in known:
            raise CollidekitError(
                f"--score: unknown target of rows {name!r}{did_you_mean(name, known)}; allowed are {', '.join(known)}"
            )
    return list(names) or known


def target_importance(
    tagger: Tagger, analysis: Analysis, batches: Sequence[Batch], names: Sequence[str], repeats: int = 3, seed: int = 0
) -> tuple[list[TargetImportance], list[str]]:
    """Return the importance for each target, or the reason why there is none.

    Each item is permuted ``repeats`` times within each batch, as for the scores of classes.
    """
    tagger.eval()
    generator = torch.Generator().manual_seed(seed)
    wanted = [*(whole_inputs(analysis) if len(analysis.inputs) > 1 else []), *items(analysis)]
    weights = np.concatenate([batch.weights.numpy() for batch in batches]).astype(np.float64)
    rows = sum(map(len, batches))
    with counting("Permuting", "rows", rows * (1 + repeats * len(wanted))) as done:
        evaluate = partial(_evaluate, tagger, analysis, batches, names, done)
        before = evaluate(lambda batch: batch)
        used = {name: known for name, (_, known) in before.items() if known.any() and weights[known].sum() > 0}
        drops: dict[str, list[Drop]] = {name: [] for name in used}
        for item in wanted if used else ():
            after = [evaluate(lambda batch, item=item: permuted(batch, item, generator)) for _ in range(repeats)]  # type: ignore[misc]
            for name, known in used.items():
                moved = [_mean(found[name][0], known, weights) for found in after]
                drops[name].append(drop_of(_mean(before[name][0], known, weights), moved))
    notes = [f"no importance for {name}: its truth is unknown in these rows" for name in names if name not in used]
    results = []
    for name, known in used.items():
        value, influence = _mean(before[name][0], known, weights)
        pairs = list(zip(wanted, drops[name], strict=True))
        unused = [item.label for item, drop in pairs if abs(drop.value) + drop.error < ROUNDING]
        features = [
            FeatureImportance(item.input, item.name, item.label, item.whole, drop, None)
            for item, drop in pairs
            if item.label not in unused
        ]
        error = float(np.sqrt((influence**2).sum()))
        figure = _figure(analysis.row_targets[name])
        results.append(
            TargetImportance(name, figure, int(known.sum()), abs(value), error, tuple(features), tuple(unused))
        )
    return results, notes


def _figure(target: Any) -> str:
    """Return the name of the figure."""
    if isinstance(target, Assignment):
        return EFFICIENCY
    return f"mean |residual| [{target.unit}]" if target.unit else "mean |residual|"


Qualities = dict[str, tuple[Floats, NDArray[np.bool_]]]


@torch.inference_mode()
def _evaluate(
    tagger: Tagger,
    analysis: Analysis,
    batches: Sequence[Batch],
    names: Sequence[str],
    done: Callable[[int], None],
    change: Callable[[Batch], Batch],
) -> Qualities:
    """Return the quality of each row (N,) for each target, and the rows that count; more is better."""
    parts: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in names}
    for batch in batches:
        raw = tagger(change(batch), with_targets=True)[1]
        for name in names:
            parts[name].append(_row_quality(tagger, analysis, name, raw[name], batch))
        done(len(batch))
    return {
        name: (torch.cat([good for good, _ in part]).numpy(), torch.cat([known for _, known in part]).numpy())
        for name, part in parts.items()
    }


def _row_quality(tagger: Tagger, analysis: Analysis, name: str, raw: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return 1 for a right assignment, or minus the mean absolute residual, (N,), and the rows that count."""
    target = analysis.row_targets[name]
    if isinstance(target, Regression):
        truth = batch.truth[name]
        known = truth.isfinite().all(dim=1)
        sizes = (tagger.regressions[name].estimates(raw) - truth).abs().mean(dim=1).double()
        return torch.where(known, -sizes, 0.0), known
    loss = AssignmentLoss(name, target, analysis)
    truth, known, _ = loss.truth(batch)
    return loss.right(raw, truth).double(), known & (truth != -1).all(dim=1)


def _mean(values: Floats, known: NDArray[np.bool_], weights: Floats) -> tuple[float, Floats]:
    """Return the weighted mean of the rows that count, and the influence (N,) of each row on it."""
    counted = np.where(known, weights, 0.0)
    mean = float(counted @ values / counted.sum())
    return mean, counted * (values - mean) / counted.sum()
