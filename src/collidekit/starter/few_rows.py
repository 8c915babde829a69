"""A split for files with few rows, so that the training and the validation set both contain every class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collidekit.analysis.scope import Plan
from collidekit.dataset.parts import SHARE, Split
from collidekit.dataset.rows import build_rows
from collidekit.starter.treat import Sampled

FEW = 50
"""If the smallest class has at least this many rows, the split of the analysis has rows of it in both sets."""
_SHARES = (SHARE, 0.8, 0.7, 0.6, 0.5, 0.4)


@dataclass(frozen=True)
class FewRows:
    """The fraction of rows for training (0: no split has every class in both sets), and the smallest class with its number of rows."""

    share: float
    smallest: str
    rows: int

    @property
    def note(self) -> str:
        """A message for the user, in one line."""
        if self.share:
            return (
                f"class {self.smallest} has only {self.rows} rows: train_val_split is {self.share:g}, so that the training and the validation "
                "set both have rows of it"
            )
        return (
            f"TOO FEW ROWS: no split has every class in both sets (class {self.smallest} has {self.rows} rows). The training files are also the "
            "test files: a run shows that everything works, but its results mean nothing. Give more files"
        )


def find_split(plan: Plan, samples: Sequence[Sampled]) -> FewRows | None:
    """Return a split with every class in both sets; None if the split of the analysis has them or there are enough rows."""
    keys, labels = [], []
    for sample in samples:
        rows = build_rows(plan, sample.columns(plan), sample.path, sample.number, sample.start).arrays
        keys.append(rows.keys)
        labels.append(rows.labels)
    key, label = np.concatenate(keys), np.concatenate(labels)
    counts = np.bincount(label, minlength=len(plan.analysis.classes))
    smallest = int(counts.argmin())
    if counts[smallest] >= FEW or not counts.all():
        return None
    if _in_both(key, label, len(counts), plan.analysis.training.get("train_val_split", SHARE)):
        return None
    share = next((share for share in _SHARES if _in_both(key, label, len(counts), share)), 0.0)
    return FewRows(share, list(plan.analysis.classes)[smallest], int(counts[smallest]))


def _in_both(keys: NDArray[np.uint64], labels: NDArray[np.int64], classes: int, share: float) -> bool:
    training = Split(share).rows(keys, "training")
    return all(np.isin(np.arange(classes), labels[part]).all() for part in (training, ~training))
