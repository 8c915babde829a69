"""What the training loop asks of a way of learning."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import Tensor

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch
from collidekit.models.heads import ClassesHead, Head

if TYPE_CHECKING:
    from collidekit.training.config import TrainingConfig


class Objective:
    """Outputs of a network -> a loss to minimise, and what to say of the validation rows."""

    settings: ClassVar[tuple[str, ...]] = ()
    """The settings of a training that it reads, and ``class_weights`` of the analysis; those of others are refused."""
    needs_merit: ClassVar[bool] = False
    """Whether the analysis must name a figure of merit."""
    head: ClassVar[type[Head]] = ClassesHead
    """What the outputs of the network mean."""
    keeps_last = False
    """The last epoch is kept, not that with the best validation loss: losses of two epochs cannot be compared."""
    losses_compare: ClassVar[bool] = True
    """Whether the losses of training and validation are the same quantity, and may stand on one axis."""
    progress = 0.0
    """Share of the training that is done, in [0, 1]; the loop sets it before each step."""

    @classmethod
    def build(cls, config: "TrainingConfig", analysis: Analysis) -> Self:
        """Make the objective that the settings of a training ask for; by default without any."""
        return cls()

    def begin(self, rows: Iterable[tuple[Batch, Tensor]]) -> None:
        """Look at all training rows and their weights once, before the first step."""

    def loss(self, outputs: Tensor, batch: Batch, weights: Tensor) -> Tensor:
        """The mean loss of a training batch, of the raw numbers (N, M) of the head; ``weights (N,)`` have mean 1 over the training rows."""
        raise NotImplementedError

    def right(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Which rows (N,) are right, in a sense that has a name; the loop gives their share of all weight in each epoch."""
        return {"accuracy": outputs.argmax(dim=1) == batch.labels}

    def validation(self) -> "Validation":
        """A fresh sum over the validation rows."""
        return Validation(self)

    def validation_loss(self, outputs: Tensor, batch: Batch, weights: Tensor) -> Tensor:
        """The mean loss of a batch, without a change of any state."""
        return self.loss(outputs, batch, weights)

    def calibrate(self, validation: "Validation") -> None:
        """Take from the validation rows of an epoch what the next one may use."""

    def scores(self) -> dict[str, float]:
        """More numbers of the epoch's training rows, by name."""
        return {}

    def state(self) -> dict[str, Any]:
        """All that a training needs to go on exactly."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""


class Validation:
    """The loss of the validation rows, batch by batch."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.total, self.rows = 0.0, 0

    def add(self, outputs: Tensor, batch: Batch, weights: Tensor) -> None:
        self.total += self.objective.validation_loss(outputs, batch, weights).item() * len(batch)
        self.rows += len(batch)

    def loss(self) -> float:
        return self.total / self.rows

    def scores(self) -> dict[str, float]:
        """More numbers, by name."""
        return {}
