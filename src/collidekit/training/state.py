"""State that a training needs, besides weights and settings, to continue bit for bit."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from attrs import asdict, frozen
from torch import Tensor

from collidekit.errors import CollidekitError
from collidekit.training.history import History

if TYPE_CHECKING:
    from collidekit.training.loop import Training

_SUMS = {"right": "right_accuracy"}
"""Names of sums of an epoch in checkpoints of earlier versions -> present names."""


@frozen
class TrainingState:
    """State of a training, in plain values and tensors for a checkpoint."""

    optimizer: dict[str, Any]
    average: dict[str, Tensor]
    """Running means of the weights; empty if not used."""
    history: dict[str, Any]
    random: Tensor
    random_cuda: Tensor | None
    best: dict[str, float]
    """Validation loss and number of the best epoch so far."""
    sums: dict[str, float]
    """Sums of the current epoch."""
    position: list[int]
    """Step, epoch, and step in the epoch."""
    extended_from: int
    objective: dict[str, Any]
    target_weights: dict[str, Tensor]
    """Learned weights of targets; empty if not used."""
    began_from: str
    """Checksum of the checkpoint that the training started from; empty if it started with random weights."""

    @classmethod
    def of(cls, training: Training) -> TrainingState:
        """Return the present state of a training."""
        return cls(
            optimizer=training.optimizer.state_dict(),
            average=training.average.model.state_dict() if training.average else {},
            history=training.history.state(),
            random=torch.get_rng_state(),
            random_cuda=torch.cuda.get_rng_state() if training.fabric.device.type == "cuda" else None,
            best=training.best,
            sums=dict(training.sums),
            position=[training.step, training.epoch, training.step_in_epoch],
            extended_from=training.extended_from,
            objective=training.objective.state(),
            target_weights=training.learned_weights.state_dict() if training.learned_weights else {},
            began_from=training.start.checksum if training.start else "",
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the state as a dict for a checkpoint."""
        return asdict(self, recurse=False)

    @classmethod
    def read(cls, path: Path, content: dict[str, Any]) -> TrainingState:
        """Read the state from the content of a checkpoint; earlier versions have other names of sums."""
        if not content:
            raise CollidekitError(f"{path}: contains a model for prediction, not the state of a training")
        sums = {_SUMS.get(name, name): total for name, total in content["sums"].items()}
        return cls(**{"objective": {}, "target_weights": {}, "began_from": "", **content, "sums": sums})

    def give(self, training: Training, tagger: dict[str, Tensor], path: Path) -> None:
        """Restore a training; ``tagger`` are the weights of the same checkpoint, ``path`` is for error messages."""
        try:
            training.tagger.load_state_dict(tagger)
            training.optimizer.load_state_dict(self.optimizer)
            if training.learned_weights:
                training.learned_weights.load_state_dict(self.target_weights)
            if training.average:
                training.average.model.load_state_dict(self.average)
        except (RuntimeError, ValueError) as error:
            raise CollidekitError(f"{path}: does not fit the network ({str(error).splitlines()[-1].strip()})") from None
        training.history = History.from_state(self.history)
        training.best = dict(self.best)
        training.sums = defaultdict(float, self.sums)
        training.step, training.epoch, training.step_in_epoch = self.position
        training.extended_from = self.extended_from
        if self.objective:
            training.objective.restore(self.objective)
        torch.set_rng_state(self.random)
        if self.random_cuda is not None and training.fabric.device.type == "cuda":
            torch.cuda.set_rng_state(self.random_cuda)
