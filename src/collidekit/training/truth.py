"""True values of targets of rows: collected from the training set, checked in training and validation set."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from collidekit.analysis.targets import Regression
from collidekit.dataset.batch import Batch
from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError

Array = np.ndarray[Any, Any]
MOST = 1_000_000
"""Number of training rows that determine the scale of a target."""


class KnownValues:
    """Values (N, V) of each target of rows, from those of the first million training rows in which all values are known."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset, self.targets = dataset, dataset.analysis.row_targets
        self._parts: dict[str, list[Array]] = {name: [] for name in self.targets}
        self._rows = 0

    def add(self, batch: Batch) -> None:
        """Add a batch of training rows."""
        self._check_logarithms(batch)
        self._check_momenta(batch)
        for name, values in batch.truth.items() if self._rows < MOST else ():
            self._parts[name].append(values.numpy()[_is_known(batch, name)].copy())
        self._rows += len(batch)

    def values(self, validation: Iterable[Batch]) -> dict[str, Array]:
        """Return the collected values; raise an error if a target is known for no training row, or for no validation row."""
        found = {name: np.concatenate(parts) for name, parts in self._parts.items()}
        known: dict[str, set[str]] = {
            "training": {name for name, values in found.items() if len(values)},
            "validation": set(),
        }
        for batch in validation if self.targets else ():
            self._check_logarithms(batch)
            self._check_momenta(batch)
            known["validation"] |= {name for name in self.targets if _is_known(batch, name).any()}
        for part, names in known.items():
            if missing := self.targets.keys() - names:
                raise CollidekitError(
                    f"{self.dataset.manifest.folder}: target {min(missing)!r} is known for no row of the {part} part"
                )
        return found

    def _check_logarithms(self, batch: Batch) -> None:
        """Raise an error for a value without logarithm, if the logarithm is the target."""
        for name, target in self.targets.items():
            if not isinstance(target, Regression) or target.scale != "log":
                continue
            if len(bad := torch.nonzero(batch.truth[name] <= 0)):
                row, column = bad[0].tolist()
                file, entry = batch.source[row].tolist()
                raise CollidekitError(
                    f"{self.dataset.manifest.files[file]}: row {entry}: {list(target.values)[column]!r} of target {name!r} is "
                    f"{float(batch.truth[name][row, column]):g}, which has no logarithm; take another scale for it, or exclude such "
                    "rows in the selection"
                )

    def _check_momenta(self, batch: Batch) -> None:
        """Raise an error for a transverse momentum of 0, if the loss is relative to it."""
        for name, target in self.targets.items():
            if not isinstance(target, Regression) or target.loss != "relative":
                continue
            transverse = batch.truth[name].reshape(len(batch), -1, 3)[..., :2]
            if len(bad := torch.nonzero((transverse == 0).all(dim=2))):
                row, place = bad[0].tolist()
                file, entry = batch.source[row].tolist()
                px, py, _ = list(target.values)[3 * place : 3 * place + 3]
                raise CollidekitError(
                    f"{self.dataset.manifest.files[file]}: row {entry}: {px!r} and {py!r} of target {name!r} are 0, so a "
                    "relative loss is not defined; take another loss for it, or exclude such rows in the selection"
                )

    def constant(self, found: dict[str, Array]) -> list[str]:
        """Return a warning for each value that is constant."""
        return [
            f"{value} of target {name} is {column[0]:g} in every training row; there is nothing to learn"
            for name, target in self.targets.items()
            for value, column in zip(target.values, found[name].T, strict=True)
            if (column == column[0]).all()
        ]


def _is_known(batch: Batch, name: str) -> Array:
    """Return the rows (N,) in which all values of a target are known."""
    known: Array = batch.truth[name].isfinite().all(dim=1).numpy()
    return known
