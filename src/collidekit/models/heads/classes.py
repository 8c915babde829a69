"""Classes of rows: one output each, whose softmax is the probability of each class."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from collidekit.analysis.schema import Analysis
from collidekit.models.heads.base import Head, exact


class ClassesHead(Head):
    """Head of classes: outputs are logits, columns are ``prob_<class>``, with a ``temperature`` (Guo et al., arXiv 1706.04599, sec. 4.2)."""

    temperature = 1.0
    """Divisor of the logits of the classes."""

    def __init__(self, classes: Sequence[str]) -> None:
        super().__init__()
        self.classes = tuple(classes)
        self.columns = tuple(f"prob_{name}" for name in self.classes)

    @classmethod
    def of(cls, analysis: Analysis) -> Self:
        return cls(list(analysis.classes))

    @property
    def outputs(self) -> int:
        return len(self.classes)

    def decode(self, raw: Tensor) -> dict[str, Tensor]:
        """Return the probabilities, the softmax of all raw numbers; the temperature does not change the relegated probability."""
        raw = exact(raw)
        probabilities = torch.softmax(raw, dim=1)
        if self.temperature != 1:
            number = len(self.classes)
            classes, others = probabilities[:, :number], probabilities[:, number:]
            shares = torch.softmax(raw[:, :number] / self.temperature, dim=1)
            probabilities = torch.cat([shares * classes.sum(dim=1, keepdim=True), others], dim=1)
        return {name: probabilities[:, k] for k, name in enumerate(self.columns)}
