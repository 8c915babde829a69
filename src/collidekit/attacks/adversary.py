"""Adversarial training: attacked rows in the place of those of a batch, among them, or beside them."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from collidekit.attacks.base import Attack
from collidekit.dataset.batch import Batch
from collidekit.models.tagger import Tagger


class Adversary:
    """What a training step learns from.

    ``replace``: each row attacked (Madry et al., arXiv 1706.06083, eq. 2.1). ``mix``: a random share of them. ``trades``:
    the rows as they are, and weight times the Kullback-Leibler divergence of the answers to them and to attacked ones (after
    Zhang et al., arXiv 1901.08573, eq. 5; here the attack makes the cross entropy large, so that any attack will do).

    The magnitude rises from 0 over the first ``ramp`` of the training.
    """

    def __init__(self, attack: Attack, kind: str, share: float, weight: float, ramp: float) -> None:
        self.attack, self.kind, self.share, self.weight, self.ramp = attack, kind, share, weight, ramp
        self.magnitude = attack.magnitude

    def rows(self, tagger: Tagger, batch: Batch, progress: float) -> Batch:
        """The batch to learn from, at a share ``progress`` of the training."""
        if self.kind == "trades":
            return batch
        only = torch.rand(len(batch)) < self.share if self.kind == "mix" else None
        return self._attacked(tagger, batch, progress, only)

    def consistency(
        self, model: Callable[[Batch], Tensor], tagger: Tagger, batch: Batch, outputs: Tensor, weights: Tensor, progress: float
    ) -> Tensor | float:  # fmt: skip
        """What ``trades`` adds to the loss: the weighted mean over the rows; 0 for the others."""
        if self.kind != "trades":
            return 0.0
        attacked = model(self._attacked(tagger, batch, progress))
        log_p, log_q = F.log_softmax(outputs.float(), dim=1), F.log_softmax(attacked.float(), dim=1)
        divergence = (log_p.exp() * (log_p - log_q)).sum(dim=1)
        return self.weight * (divergence * weights).mean()

    def _attacked(self, tagger: Tagger, batch: Batch, progress: float, only: Tensor | None = None) -> Batch:
        risen = min(progress / self.ramp, 1.0) if self.ramp else 1.0
        if not risen:  # a magnitude of 0 would be no limit to some attacks
            return batch
        self.attack.magnitude = self.magnitude * risen
        return self.attack(tagger, batch, int(torch.randint(1 << 31, ())), only=only)
