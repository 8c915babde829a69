"""Weights of the losses of classes and targets: fixed, or learned (Kendall, Gal, Cipolla, arXiv 1705.07115)."""

import math
from collections.abc import Collection, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from collidekit.analysis.features import Strict
from collidekit.analysis.schema import Analysis
from collidekit.errors import CollidekitError
from collidekit.settings import setting

CLASSES = "classes"
FACTOR = 10.0
"""Ratio of the learning rates of the weights and of the network."""


class TargetWeightSettings(Strict):
    """Settings of the weights of targets in the loss."""

    target_weights: Literal["fixed", "learned"] = setting(
        "fixed", "weights of classes and targets in the loss: fixed (those of the analysis file), or learned from there"
    )


class LearnedWeights(nn.Module):
    """Learned weight w for each loss L; the total loss is the sum of w L - ln(w) / 2.

    With w = 1 / (2 sigma^2) this is the negative log-likelihood of a Gaussian of width sigma up to constants (eq. 7), so the weight
    of a squared loss converges to 1 / (2 sigma^2) of its residuals, and that of any other loss to 1 / (2 L). Losses must not be negative.
    """

    def __init__(self, start: Mapping[str, float]) -> None:
        super().__init__()
        self.names = list(start)
        logarithms = [math.log(weight) for weight in start.values()]
        self.logarithms = nn.Parameter(torch.tensor(logarithms))

    @classmethod
    def of(cls, analysis: Analysis, names: list[str], objective: str) -> "LearnedWeights":
        """Return weights that start with those of the analysis file, 1 for the classes; raise an error for fewer than two losses."""
        if analysis.classes and objective != "classification":
            raise CollidekitError(f"target_weights: learned is for --objective classification, not {objective}")
        if CLASSES in names:
            raise CollidekitError(f"target_weights: learned needs another name for the target {CLASSES!r}")
        start = {
            **({CLASSES: 1.0} if analysis.classes else {}),
            **{name: analysis.targets[name].weight for name in names},
        }
        if len(start) < 2:
            raise CollidekitError("target_weights: learned needs at least two losses, of classes and targets")
        return cls(start)

    def totals(self, classes: Tensor, others: Mapping[str, Tensor], of_rows: Collection[str]) -> tuple[Tensor, Tensor]:
        """Return the total loss of ``classes`` and targets of rows, and the total loss of the other targets."""
        rows = {CLASSES: classes} if CLASSES in self.names else {}
        rows |= {name: loss for name, loss in others.items() if name in of_rows}
        return self.total(rows), self.total({name: loss for name, loss in others.items() if name not in rows})

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return the sum of w L - ln(w) / 2 of the losses."""
        parts = [self._part(name, loss) for name, loss in losses.items()]
        return torch.stack(parts).sum() if parts else self.logarithms.new_zeros(())

    def _part(self, name: str, loss: Tensor) -> Tensor:
        logarithm = self.logarithms[self.names.index(name)]
        part = logarithm.exp() * loss - logarithm / 2
        return torch.where(loss == 0, torch.zeros_like(part), part)  # 0 for a batch without known truth

    def refuse_negative(self, losses: Mapping[str, float]) -> None:
        """Raise an error if a loss of the validation set is negative: its weight would grow without limit."""
        for name, loss in losses.items():
            if loss < 0 and name in self.names:
                raise CollidekitError(
                    f"target_weights: learned needs losses above 0, but the loss of {name!r} is {loss:g} on the validation rows; take fixed"
                )

    def weights(self) -> dict[str, float]:
        """Return the present weights, by name."""
        return dict(zip(self.names, self.logarithms.detach().exp().tolist(), strict=True))
