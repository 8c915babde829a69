"""Integrated gradients: the contribution of each feature of each constituent to a score.

Sundararajan, Taly, Yan, arXiv 1703.01365, eq. 1: the attribution of column j is the integral, over a path from a baseline
x' to the row x, of dF/dx_j dx_j. F is the log odds of a score.

For features, the path is the straight line from the baseline, in the scale of the network. Four-momenta and coordinates
have no meaningful mean. They are scaled by a common factor down to 1/1000 instead, along x(a) = x / 1000^(1 - a). This
changes neither the direction of a momentum nor the order of distances. For any path, the attributions of a row sum to F(x) -
F(x') (completeness, sec. 3); the rest is the error of the numerical integral.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from attrs import evolve
from numpy.typing import NDArray
from torch import Tensor

from collidekit.dataset.batch import Batch, Input, Ragged
from collidekit.errors import CollidekitError
from collidekit.evaluation.importance.items import Item, Score, values_of
from collidekit.models.layers import segment_sum
from collidekit.models.tagger import Tagger

Baseline = Literal["mean", "default"]
SHRUNK = 1000.0
"""Divisor of four-momenta and coordinates at the baseline."""
STEPS = 32


class NoGradientError(CollidekitError):
    """The network is not differentiable."""


@dataclass(frozen=True, eq=False)
class Attributions:
    """Attributions of the N rows of a batch, for each input (T, C) or (N, F), in the columns of the batch."""

    inputs: dict[str, Tensor]
    offsets: dict[str, Tensor]
    """Offsets of the collections (N + 1,)."""
    score: NDArray[np.float64]
    """F(x) (N,)."""
    baseline: NDArray[np.float64]
    """F(x') (N,)."""

    def of_item(self, item: Item) -> NDArray[np.float64]:
        """Return the attributions (N,) of an item in each row, summed over constituents."""
        values = self.inputs[item.input][:, item.columns].sum(dim=1, keepdim=True)
        if item.input in self.offsets:
            values = segment_sum(values, self.offsets[item.input])
        return np.asarray(values[:, 0].double().numpy())

    def gap(self) -> NDArray[np.float64]:
        """Return the sum of all attributions minus the score difference (N,): 0 for an exact integral."""
        total: NDArray[Any] = np.zeros(len(self.score))
        for name in self.inputs:
            total += self.of_item(Item(name, name, name, slice(None)))
        return np.asarray(total - (self.score - self.baseline))


def integrated_gradients(
    tagger: Tagger, batch: Batch, score: Score, steps: int = STEPS, baseline: Baseline = "mean"
) -> Attributions:
    """Return the attributions of all rows of a batch, which may have no constituents, with ``steps`` Gauss-Legendre points.

    Baseline ``mean``: the value of each feature that the scaling maps to 0 (mean or median of the training rows).
    ``default``: the ``default`` of features that have one.
    """
    tagger.eval()
    with torch.no_grad():
        path = _Path(tagger, tagger.scaling(batch.inputs), baseline)
        ends = [score.log_odds(tagger.outputs(path.at(a))).double().numpy() for a in (1.0, 0.0)]
    sums = {name: torch.zeros_like(values) for name, values in path.end.items()}
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        for name, gradient in _gradients(tagger, path.at(float(node)), score).items():
            sums[name] += float(weight) * gradient * path.speed(name, float(node))
    offsets = {name: entry.offsets for name, entry in batch.inputs.items() if isinstance(entry, Ragged)}
    return Attributions(sums, offsets, *ends)


def _gradients(tagger: Tagger, scaled: dict[str, Input], score: Score) -> dict[str, Tensor]:
    """Return dF/dx of every input, 0 if the network does not use it."""
    leaves = {name: values_of(entry).detach().requires_grad_() for name, entry in scaled.items()}
    inputs = {
        name: evolve(entry, data=leaves[name]) if isinstance(entry, Ragged) else leaves[name]
        for name, entry in scaled.items()
    }
    with torch.enable_grad():
        total = score.log_odds(tagger.outputs(inputs)).sum()  # rows are independent of one another
        if not total.requires_grad:
            raise NoGradientError(
                f"network {type(tagger.network).__name__}: its outputs have no gradient with respect to its inputs, which "
                "attributions need"
            )
        found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    return {
        name: torch.zeros_like(leaf) if gradient is None else gradient
        for (name, leaf), gradient in zip(leaves.items(), found, strict=True)
    }


class _Path:
    """Path from the baseline (a = 0) to the rows (a = 1), in the scale of the network."""

    def __init__(self, tagger: Tagger, scaled: dict[str, Input], baseline: Baseline) -> None:
        self.entries = scaled
        self.end = {name: values_of(entry) for name, entry in scaled.items()}
        self.features = {name: len(features) for name, features in tagger.scaling.features.items()}
        self.start = {name: _start(tagger, name, baseline) for name in scaled}

    def at(self, a: float) -> dict[str, Input]:
        return {name: self._at(name, entry, a) for name, entry in self.entries.items()}

    def _at(self, name: str, entry: Input, a: float) -> Input:
        count, end = self.features[name], self.end[name]
        moved = self.start[name] + a * (end[:, :count] - self.start[name])
        values = torch.cat([moved, end[:, count:] * SHRUNK ** (a - 1)], dim=1)
        return evolve(entry, data=values) if isinstance(entry, Ragged) else values

    def speed(self, name: str, a: float) -> Tensor:
        """dx/da."""
        count, end = self.features[name], self.end[name]
        rest = end[:, count:] * (SHRUNK ** (a - 1) * math.log(SHRUNK))
        return torch.cat([end[:, :count] - self.start[name], rest], dim=1)


def _start(tagger: Tagger, name: str, baseline: Baseline) -> Tensor:
    """Return the baseline (F,) of the features: 0, or the scaled default."""
    features = tagger.scaling.features[name]
    start = torch.zeros(len(features))
    if baseline == "default":
        shift, factor = tagger.scaling.get_buffer(f"{name}_shift"), tagger.scaling.get_buffer(f"{name}_factor")
        for i, feature in enumerate(features):
            if feature.default is not None:
                start[i] = (feature.default - shift[i]) * factor[i]
    return start


def attribute(
    tagger: Tagger,
    batches: Iterable[Batch],
    score: Score,
    wanted: Sequence[Item],
    steps: int = STEPS,
    baseline: Baseline = "mean",
    done: Callable[[int], None] = lambda rows: None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return attributions (N, items) of all rows, score differences F(x) - F(x') (N,), and errors of the integrals (N,)."""
    sums, changes, gaps = [], [], []
    for batch in batches:
        found = integrated_gradients(tagger, batch, score, steps, baseline)
        sums.append(np.stack([found.of_item(item) for item in wanted], axis=1))
        changes.append(found.score - found.baseline)
        gaps.append(found.gap())
        done(len(batch))
    return np.concatenate(sums), np.concatenate(changes), np.concatenate(gaps)
