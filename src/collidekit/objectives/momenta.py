"""Losses of values that are momenta px, py, pz: relative to the truth, and the mass of the W boson of neutrino and lepton."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from collidekit.analysis.targets import Regression
from collidekit.dataset.batch import Batch
from collidekit.models.heads import RegressionHead
from collidekit.models.heads.w_mass import deviations, lepton_momenta

if TYPE_CHECKING:
    from collidekit.objectives.targets import TargetLoss

SMALLEST = 0.1
"""Fraction of the true pt below which the weight of the direction of an estimate is proportional to its pt."""


class MomentaLoss:
    """Loss of a regression whose values are momenta; ``values`` computes everything that is not specific to momenta.

    The truth has four more columns for each lepton, its px, py, pz, E, NaN if a row has no lepton.
    """

    def __init__(self, values: TargetLoss, target: Regression, head: RegressionHead) -> None:
        self.values, self.target, self.head = values, target, head

    def truth(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        truth, known, rows = self.values.truth(batch)
        if self.target.w_mass:
            truth = torch.cat([truth, lepton_momenta(batch, self.target.leptons).to(truth).flatten(1)], dim=1)
        return truth, known, rows

    def losses(self, raw: Any, truth: Tensor) -> Tensor:
        values, leptons = self._split(truth)
        values = torch.where(values.isfinite(), values, 1.0)  # unknown values are not counted
        estimates = self._estimates(raw)
        relative = self.target.loss == "relative"
        found = relative_loss(estimates, _triples(values)) if relative else self.values.losses(raw, values)
        if self.target.w_mass:
            found = found + self.target.w_mass.weight * deviations(estimates, leptons)
        return found.to(torch.promote_types(raw.dtype, torch.float32))

    def counts(self, raw: Any, truth: Tensor, weights: Tensor) -> list[Tensor]:
        return self.values.counts(raw, self._split(truth)[0], weights)

    def scores(self, name: str, known: float, counts: list[float]) -> dict[str, float]:
        return self.values.scores(name, known, counts)

    def _estimates(self, raw: Tensor) -> Tensor:
        columns = self.head.decode(raw)
        return _triples(torch.stack([columns[f"pred_{name}"] for name in self.target.values], dim=1))

    def _split(self, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Return the true values (N, V), and the momenta of leptons (N, M, 4)."""
        values, leptons = truth[:, : len(self.target.values)], truth[:, len(self.target.values) :]
        return values, leptons.reshape(len(truth), -1, 4)


def relative_loss(estimates: Tensor, truth: Tensor) -> Tensor:
    """Return the mean (N,) over momenta px, py, pz (N, M, 3) of (h((pt' - pt) / pt) + h((pz' - pz) / p) + 1 - cos dphi) / 3.

    h(d) is the Huber loss: d^2 / 2 up to 1 and |d| - 1/2 beyond. If pt' is below pt / 10, cos dphi is multiplied by 10 pt' / pt.
    The true transverse momentum must be above 0.
    """
    pt, other = truth[..., :2].norm(dim=-1), estimates[..., :2].norm(dim=-1)
    cosine = (estimates[..., :2] * truth[..., :2]).sum(dim=-1) / (pt * torch.maximum(other, SMALLEST * pt))
    along = (estimates[..., 2] - truth[..., 2]) / truth.norm(dim=-1)
    terms = torch.stack([_huber(other / pt - 1), _huber(along), 1 - cosine])
    return terms.mean(dim=0).mean(dim=1)


def _huber(difference: Tensor) -> Tensor:
    return F.huber_loss(difference, torch.zeros_like(difference), reduction="none")


def _triples(values: Tensor) -> Tensor:
    return values.double().reshape(len(values), -1, 3)
