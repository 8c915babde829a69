"""What all attacks share: Batch in, perturbed Batch out."""

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
    """Where an attack moves."""

    def region(self, batch: Batch) -> Region: ...


class Attack:
    """Moves the rows of a batch so that a tagger's loss grows; labels, weights and all else stay.

    The tagger is in evaluation mode meanwhile; none of its statistics moves, and no gradient of a parameter is left behind.
    """

    needs_magnitude = True
    """Whether a magnitude of 0 moves nothing, rather than being no limit."""

    def __init__(self, settings: AttackSettings, space: Space) -> None:
        self.settings, self.space = settings, space
        self.magnitude = settings.attack_magnitude

    def __call__(
        self, tagger: Tagger, batch: Batch, seed: int = 0, only: Tensor | None = None, loss: Loss = cross_entropy
    ) -> Batch:
        """The attacked rows; of ``only (N,)`` alone those where it holds.

        Random numbers are decided by the seed and the place of each row in its dataset.
        """
        with torch.inference_mode(mode=False), torch.enable_grad(), frozen(tagger):
            region = self.space.region(_differentiable(batch))
            moves = region.clamp(self.moves(tagger, region, seed, loss))
            if only is not None:
                moves = region.times(moves, only.to(region.batch.labels.device).float())
            with torch.no_grad():
                return region.make(moves)

    def moves(self, tagger: Tagger, region: Region, seed: int, loss: Loss) -> Moves:
        """How far each number goes; ``__call__`` keeps it within what is physical."""
        raise NotImplementedError


def _differentiable(batch: Batch) -> Batch:
    """The same batch where its tensors were made for inference, which torch does not differentiate."""
    if not batch.labels.is_inference():
        return batch
    inputs: dict[str, Input] = {}
    for name, entry in batch.inputs.items():
        if isinstance(entry, Ragged):
            inputs[name] = evolve(entry, data=entry.data.clone(), offsets=entry.offsets.clone())
        else:
            inputs[name] = entry.clone()
    return evolve(batch, inputs=inputs, labels=batch.labels.clone(), index=batch.index.clone())
