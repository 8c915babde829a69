"""Learning the targets of constituents beside the classes of rows: their losses, and how well they are met.

As GN1 and GN2 (ATL-PHYS-PUB-2022-027; arXiv 2505.19689): the losses are added to that of the classes, each with its weight.
"""

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.targets import UNKNOWN
from collidekit.models.packing import pairs


class TargetLosses:
    """The losses of those targets that a tagger gives logits for; rows count in them as they do in the loss of the classes."""

    def __init__(self, analysis: Analysis, names: Iterable[str]) -> None:
        self.targets = {name: analysis.targets[name] for name in names}
        self.columns = {
            name: list(analysis.targets_of(target.collection)).index(name) for name, target in self.targets.items()
        }

    def __call__(self, logits: Mapping[str, Tensor], batch: Batch, weights: Tensor) -> dict[str, Tensor]:
        """The mean loss of each target over the constituents or pairs whose truth is known; ``weights (N,)`` of rows.

        Classes: cross entropy. Pairs: binary cross entropy of whether both come from one vertex.
        """
        losses = {}
        for name, values in logits.items():
            truth, known, rows = self.truth(name, batch)
            losses[name] = (self._each(name, values, truth) * weights[rows] * known).sum() / known.sum().clamp(min=1)
        return losses

    def _each(self, name: str, logits: Tensor, truth: Tensor) -> Tensor:
        """The loss of each constituent or pair, in single precision at least."""
        logits = logits if logits.dtype == torch.float64 else logits.float()
        if self.targets[name].classes:
            return F.cross_entropy(logits, truth.clamp(min=0), reduction="none")
        return F.binary_cross_entropy_with_logits(logits, truth.to(logits), reduction="none")

    def total(self, losses: Mapping[str, Tensor]) -> Tensor | float:
        """The sum of all losses, each times the weight of its target; 0 where there are none."""
        return sum(self.targets[name].weight * loss for name, loss in losses.items())

    def truth(self, name: str, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Truth, whether it is known, and the row, of each constituent (T,) or pair (P,)."""
        entry = batch.inputs[self.targets[name].collection]
        assert isinstance(entry, Ragged)
        assert entry.targets is not None
        truth, rows = entry.targets[:, self.columns[name]].long(), entry.rows
        if self.targets[name].classes:
            return truth, truth >= 0, rows
        i, j = pairs(entry.offsets)
        a, b = truth[i], truth[j]
        return (a == b) & (a >= 0), (a != UNKNOWN) & (b != UNKNOWN), rows[i]


class TargetScores:
    """How well targets are met, summed over batches.

    ``loss_<target>`` is its loss. Classes have ``<target>_accuracy``, the share of constituents that are right. Pairs have
    ``<target>_efficiency``, the share of the pairs of one vertex that get a probability above 1/2, and
    ``<target>_purity``, the share of those above 1/2 that are of one vertex. NaN where there is nothing to divide by.
    """

    def __init__(self, losses: TargetLosses) -> None:
        self.losses = losses
        self.sums: dict[str, Tensor] = {}

    @torch.no_grad()
    def add(self, logits: Mapping[str, Tensor], batch: Batch, weights: Tensor) -> None:
        """The logits of a batch; ``weights (N,)`` of its rows are for the loss alone."""
        losses = self.losses(logits, batch, weights)
        for name, values in logits.items():
            truth, known, _ = self.losses.truth(name, batch)
            if self.losses.targets[name].classes:
                sums = [(values.argmax(dim=1) == truth) & known, known]
            else:
                found = (values > 0) & known
                sums = [found & truth, truth & known, found]
            counts = torch.stack([known.sum() * losses[name].double(), known.sum(), *(part.sum() for part in sums)])
            self.sums[name] = self.sums.get(name, torch.zeros_like(counts)) + counts

    def scores(self) -> dict[str, float]:
        found = {}
        for name, (loss, known, right, *others) in self.sums.items():
            found[f"loss_{name}"] = float(loss / known)
            kinds = ("accuracy",) if self.losses.targets[name].classes else ("efficiency", "purity")
            found |= {f"{name}_{kind}": float(right / number) for kind, number in zip(kinds, others, strict=True)}
        return found
