"""Interface between objectives and the training loop."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import Tensor

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch
from collidekit.models.heads import ClassesHead, Head

if TYPE_CHECKING:
    from collidekit.training.config import TrainingConfig


class Objective:
    """Base of all objectives: outputs of a network -> loss, correct rows, and scores of the validation set."""

    settings: ClassVar[tuple[str, ...]] = ()
    """Settings of the training (and ``class_weights`` of the analysis) that the objective uses; others are an error."""
    needs_merit: ClassVar[bool] = False
    """True if the analysis must have a figure of merit."""
    head: ClassVar[type[Head]] = ClassesHead
    """Head that defines the meaning of the outputs of the network."""
    keeps_last = False
    """True if the last epoch is kept instead of the best one, because losses of two epochs cannot be compared."""
    losses_compare: ClassVar[bool] = True
    """True if training and validation loss are the same quantity and can be drawn on one axis."""
    progress = 0.0
    """Fraction of the training that is done, in [0, 1]; the loop sets it before each step."""

    @classmethod
    def build(cls, config: "TrainingConfig", analysis: Analysis) -> Self:
        """Return the objective for the settings of a training; by default it has no settings."""
        return cls()

    def begin(self, rows: Iterable[tuple[Batch, Tensor]]) -> None:
        """Process all training rows and their weights once, before the first step."""

    def loss(self, outputs: Tensor, batch: Batch, weights: Tensor) -> Tensor:
        """Return the mean loss of a training batch from raw numbers (N, M) of the head; ``weights (N,)`` have mean 1 on average."""
        raise NotImplementedError

    def right(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return for each named criterion which rows (N,) are correct; the loop computes their weighted fraction of an epoch."""
        return {"accuracy": outputs.argmax(dim=1) == batch.labels}

    def validation(self) -> "Validation":
        """Return a new, empty sum over the validation set."""
        return Validation(self)

    def validation_loss(self, outputs: Tensor, batch: Batch, weights: Tensor) -> Tensor:
        """Return the mean loss of a batch without changing any state."""
        return self.loss(outputs, batch, weights)

    def calibrate(self, validation: "Validation") -> None:
        """Update the state for the next epoch from the validation set of this one."""

    def scores(self) -> dict[str, float]:
        """Return further numbers of the training rows of the epoch, by name."""
        return {}

    def state(self) -> dict[str, Any]:
        """Return the state that a training needs to continue exactly."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the output of ``state``."""


class Validation:
    """Sum of the loss over the batches of the validation set."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.total, self.rows = 0.0, 0

    def add(self, outputs: Tensor, batch: Batch, weights: Tensor) -> None:
        self.total += self.objective.validation_loss(outputs, batch, weights).item() * len(batch)
        self.rows += len(batch)

    def loss(self) -> float:
        return self.total / self.rows

    def scores(self) -> dict[str, float]:
        """Return further numbers, by name."""
        return {}
