"""Base of all attacks: Batch -> attacked Batch."""

from typing import Protocol

import torch
from attrs import evolve
from torch import Tensor

from collidekit.attacks.gradient import Loss, cross_entropy, frozen
from collidekit.attacks.region import Moves, Region
from collidekit.attacks.settings import AttackSettings
from collidekit.dataset.batch import Batch, Input, Ragged
from collidekit.models.tagger import Tagger


class Space(Protocol):
    """Space of the changes of an attack."""

    def region(self, batch: Batch) -> Region: ...


class Attack:
    """Change of the inputs of a batch that increases the loss of a tagger; labels, weights and everything else stay the same.

    The tagger is in evaluation mode during the attack: its statistics do not change, and no gradients of parameters are stored.
    """

    needs_magnitude = True
    """True if a magnitude of 0 means no change, False if it means no limit."""

    def __init__(self, settings: AttackSettings, space: Space) -> None:
        self.settings, self.space = settings, space
        self.magnitude = settings.attack_magnitude

    def __call__(
        self, tagger: Tagger, batch: Batch, seed: int = 0, only: Tensor | None = None, loss: Loss = cross_entropy
    ) -> Batch:
        """Return the attacked batch; with ``only (N,)``, only the rows where it is True are attacked.

        Random numbers depend only on the seed and on the index of each row in its dataset.
        """
        with torch.inference_mode(mode=False), torch.enable_grad(), frozen(tagger):
            region = self.space.region(_differentiable(batch))
            moves = region.clamp(self.moves(tagger, region, seed, loss))
            if only is not None:
                moves = region.times(moves, only.to(region.batch.labels.device).float())
            with torch.no_grad():
                return region.make(moves)

    def moves(self, tagger: Tagger, region: Region, seed: int, loss: Loss) -> Moves:
        """Return the change of each number; ``__call__`` limits it to physical values."""
        raise NotImplementedError


def _differentiable(batch: Batch) -> Batch:
    """Return the same batch with tensors that torch can differentiate: tensors of inference mode are copied."""
    if not batch.labels.is_inference():
        return batch
    inputs: dict[str, Input] = {}
    for name, entry in batch.inputs.items():
        if isinstance(entry, Ragged):
            inputs[name] = evolve(entry, data=entry.data.clone(), offsets=entry.offsets.clone())
        else:
            inputs[name] = entry.clone()
    return evolve(batch, inputs=inputs, labels=batch.labels.clone(), index=batch.index.clone())
