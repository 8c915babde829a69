"""DisCo: classification that is decorrelated from a mass (Kasieczka, Shih, arXiv 2001.05310)."""

from typing import TYPE_CHECKING, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from collidekit.analysis.features import Strict
from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch
from collidekit.dataset.transfer import on_host, send
from collidekit.objectives.base import Objective
from collidekit.objectives.classification import class_weights
from collidekit.settings import NotNegative, setting

if TYPE_CHECKING:
    from collidekit.training.config import TrainingConfig


def distance_correlation(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """Return the squared distance correlation of two variables (N,), 0 if independent (Szekely et al., arXiv 0803.4101).

    With weights w (N,) of mean 1, dCov2(x, y) is the mean of A_ij B_ij w_i w_j, where A and B are the doubly centred distances.
    """
    a, b = (_centred((values[:, None] - values).abs(), weights) for values in (x, y))
    pairs = weights[:, None] * weights

    def covariance(p: Tensor, q: Tensor) -> Tensor:
        return (p * q * pairs).mean()

    scale = (covariance(a, a) * covariance(b, b)).clamp(min=torch.finfo(x.dtype).tiny).sqrt()
    return covariance(a, b) / scale


def _centred(distance: Tensor, weights: Tensor) -> Tensor:
    means = (distance * weights).mean(dim=1)
    return distance - means[:, None] - means + (means * weights).mean()


class DisCoSettings(Strict):
    """Settings of DisCo."""

    disco_weight: NotNegative = setting(10.0, "weight of the distance correlation, for disco")


class DisCo(Objective):
    """L = CE + strength dCorr2(P(signal), figure of merit), over the background rows of a batch (eq. 4)."""

    settings = (*DisCoSettings.model_fields, "class_weights")
    needs_merit = True

    def __init__(self, analysis: Analysis, class_weights: Tensor, strength: float = 10.0) -> None:
        assert analysis.figure_of_merit is not None
        self.variable, self.strength = analysis.figure_of_merit.variable, strength
        self.signal = torch.tensor(analysis.figure_of_merit.is_signal(list(analysis.classes)))
        self.class_weights = class_weights

    @classmethod
    def build(cls, config: "TrainingConfig", analysis: Analysis) -> Self:
        return cls(analysis, class_weights(analysis), config.disco_weight)

    def loss(self, outputs: Tensor, batch: Batch, weights: Tensor) -> Tensor:
        device, labels, own = outputs.device, on_host(batch.labels), on_host(weights)
        rows = ((~self.signal)[labels] & (own * self.class_weights[labels] > 0)).nonzero().squeeze(1)
        weights = weights * send(self.class_weights, device)[batch.labels]
        loss = (F.cross_entropy(outputs, batch.labels, reduction="none") * weights).mean()
        if len(rows) < 2 or not self.strength:
            return loss
        background, signal = send(rows, device), send(self.signal.nonzero().squeeze(1), device)
        score = torch.softmax(outputs[background].float(), dim=1)[:, signal].sum(dim=1)
        counted = weights[background].float()
        merit = batch.spectators[self.variable][background].to(score)
        return loss + self.strength * distance_correlation(score, merit, counted / counted.mean())
