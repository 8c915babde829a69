"""Classification: softmax outputs, cross entropy or focal loss, label smoothing, weights."""

from typing import TYPE_CHECKING, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from collidekit.analysis.features import Strict
from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch
from collidekit.dataset.transfer import send
from collidekit.objectives.base import Objective
from collidekit.settings import NotNegative, Share, setting

if TYPE_CHECKING:
    from collidekit.training.config import TrainingConfig

LossFunction = Literal["CrossEntropyLoss", "FocalLoss"]


class ClassificationSettings(Strict):
    """Settings of the loss of classes."""

    loss_function: LossFunction = setting("CrossEntropyLoss", "loss of classes: CrossEntropyLoss or FocalLoss")
    label_smoothing: Share = setting(0.0, "label smoothing: probability that is shared by all classes")
    focal_gamma: NotNegative = setting(2.0, "gamma of the focal loss")


class Classification(Objective):
    """Classification with one output for each class.

    Cross entropy -log p_t, or focal loss -(1 - p_t)^gamma log p_t (Lin et al., arXiv 1708.02002, eq. 4), both with
    label smoothing: the target is 1 - s for the true class and s/K for each. ``class_weights (K,)`` multiply each row's weight.
    """

    settings = (*ClassificationSettings.model_fields, "class_weights")

    def __init__(
        self,
        class_weights: Tensor,
        loss_function: LossFunction = "CrossEntropyLoss",
        label_smoothing: float = 0.0,
        focal_gamma: float = 2.0,
    ) -> None:
        self.class_weights = class_weights
        self.loss_function = loss_function
        self.label_smoothing = label_smoothing
        self.focal_gamma = focal_gamma

    @classmethod
    def build(cls, config: "TrainingConfig", analysis: Analysis) -> Self:
        return cls(class_weights(analysis), config.loss_function, config.label_smoothing, config.focal_gamma)

    def losses(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of each row (N,), without weights."""
        if self.loss_function == "CrossEntropyLoss":
            return F.cross_entropy(outputs, labels, reduction="none", label_smoothing=self.label_smoothing)
        log_p = F.log_softmax(outputs, dim=1)
        rest = (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).tiny)  # 1 - p, with a gradient also at p = 1
        focal = -(rest**self.focal_gamma) * log_p  # (N, K)
        true = focal.gather(1, labels[:, None]).squeeze(1)
        return (1 - self.label_smoothing) * true + self.label_smoothing * focal.mean(dim=1)

    def loss(self, outputs: Tensor, batch: Batch, weights: Tensor) -> Tensor:
        weights = weights * send(self.class_weights, weights.device)[batch.labels]
        return (self.losses(outputs, batch.labels) * weights).mean()


def class_weights(analysis: Analysis) -> Tensor:
    """Return the class weights (K,); 1 for classes without weight in the analysis."""
    return torch.tensor([analysis.class_weights.get(name, 1.0) for name in analysis.classes])
