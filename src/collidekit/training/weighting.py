"""Weights of rows in training: event, process and class weights, and kinematic reweighting."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch
from collidekit.dataset.kinematics import kinematic_bin, reference_weights
from collidekit.dataset.manifest import Manifest

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Reweighting:
    """Weights (K, bins) in [0, 1] that give every class the kinematic shape of the reference class."""

    analysis: Analysis
    table: Array

    @classmethod
    def of(cls, manifest: Manifest) -> "Reweighting | None":
        """Return the weights from the class histograms of a dataset; None if the analysis has no kinematics."""
        analysis = manifest.analysis
        if analysis.kinematics is None:
            return None
        reference = list(analysis.classes).index(analysis.kinematics.reference)
        return cls(analysis, reference_weights(manifest.histogram, reference))

    def __call__(self, batch: Batch) -> Array:
        """Return the weight of each row (N,); 1 for a row without class."""
        labels = batch.labels.numpy()
        return np.where(labels >= 0, self.table[labels, kinematic_bin(batch, self.analysis)], 1.0)


@dataclass(frozen=True)
class Weighting:
    """Weight of a row in the loss, divided by its mean over the training set."""

    reweighting: Reweighting | None
    mean: float = 1.0

    def __call__(self, batch: Batch) -> Tensor:
        """Return the weights of the rows of a batch (N,), as float32."""
        weights = batch.weights
        if self.reweighting is not None:
            weights = weights * torch.from_numpy(self.reweighting(batch).astype(np.float32))
        return weights / self.mean
