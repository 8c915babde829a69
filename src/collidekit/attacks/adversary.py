"""Adversarial training: attacked rows replace the rows of a batch, are mixed with them, or add a term to the loss."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from collidekit.attacks.base import Attack
from collidekit.dataset.batch import Batch
from collidekit.models.tagger import Tagger


class Adversary:
    """Attack of the rows of each training step.

    ``replace`` attacks each row (Madry et al., arXiv 1706.06083, eq. 2.1), ``mix`` a random fraction of them. ``trades`` trains
    on nominal rows and adds to the loss: weight times the Kullback-Leibler divergence between the outputs of nominal and attacked
    rows (after Zhang et al., arXiv 1901.08573, eq. 5; here the attack increases the cross entropy, so any attack can be used).

    The magnitude rises from 0 during the first fraction ``ramp`` of the training.
    """

    def __init__(self, attack: Attack, kind: str, share: float, weight: float, ramp: float) -> None:
        self.attack, self.kind, self.share, self.weight, self.ramp = attack, kind, share, weight, ramp
        self.magnitude = attack.magnitude

    def rows(self, tagger: Tagger, batch: Batch, progress: float) -> Batch:
        """Return the batch to train on, at the fraction ``progress`` of the training."""
        if self.kind == "trades":
            return batch
        only = torch.rand(len(batch)) < self.share if self.kind == "mix" else None
        return self._attacked(tagger, batch, progress, only)

    def consistency(
        self, model: Callable[[Batch], Tensor], tagger: Tagger, batch: Batch, outputs: Tensor, weights: Tensor, progress: float
    ) -> Tensor | float:  # fmt: skip
        """Return the term that ``trades`` adds to the loss, a weighted mean over the rows; 0 for the other kinds."""
        if self.kind != "trades":
            return 0.0
        attacked = model(self._attacked(tagger, batch, progress))
        log_p, log_q = F.log_softmax(outputs.float(), dim=1), F.log_softmax(attacked.float(), dim=1)
        divergence = (log_p.exp() * (log_p - log_q)).sum(dim=1)
        return self.weight * (divergence * weights).mean()

    def _attacked(self, tagger: Tagger, batch: Batch, progress: float, only: Tensor | None = None) -> Batch:
        risen = min(progress / self.ramp, 1.0) if self.ramp else 1.0
        if not risen:  # for some attacks a magnitude of 0 means no limit
            return batch
        self.attack.magnitude = self.magnitude * risen
        return self.attack(tagger, batch, int(torch.randint(1 << 31, ())), only=only)
