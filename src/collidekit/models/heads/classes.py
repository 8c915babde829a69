"""Classes of rows: one output each, whose softmax is the probability of each class."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from collidekit.analysis.schema import Analysis
from collidekit.models.heads.base import Head


class ClassesHead(Head):
    """The outputs are logits; the columns are ``prob_<class>``."""

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
        """The probabilities, by the softmax of all raw numbers."""
        probabilities = torch.softmax(raw.double(), dim=1)
        return {name: probabilities[:, k] for k, name in enumerate(self.columns)}
