"""Files with few rows: a split of which both parts hold every class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collidekit.analysis.scope import Plan
from collidekit.dataset.parts import SHARE, Split
from collidekit.dataset.rows import build_rows
from collidekit.starter.treat import Sampled

FEW = 50
"""Rows of the smallest class, from which on the usual split holds it in both parts."""
_SHARES = (SHARE, 0.8, 0.7, 0.6, 0.5, 0.4)


@dataclass(frozen=True)
class FewRows:
    """What to change for a few rows: the share for training (0: none helps), and the class that is short of rows."""

    share: float
    smallest: str
    rows: int

    @property
    def note(self) -> str:
        """What is done about it, in a sentence."""
        if self.share:
            return f"class {self.smallest} has {self.rows} rows: train_val_split is {self.share:g}, so that training and validation both hold some"
        return (
            f"TOO FEW ROWS: no split has every class in both parts (class {self.smallest} has {self.rows} rows). The test file is the training "
            "file: a run shows that everything works, but its figures mean nothing. Give more files"
        )


def find_split(plan: Plan, samples: Sequence[Sampled]) -> FewRows | None:
    """Return a split with every class in both parts; None where the usual one is good or there are enough rows."""
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
    share = next((share for share in _SHARES if _in_both(key, label, len(counts), share)), 0.0)
    return None if share == SHARE else FewRows(share, list(plan.analysis.classes)[smallest], int(counts[smallest]))


def _in_both(keys: NDArray[np.uint64], labels: NDArray[np.int64], classes: int, share: float) -> bool:
    training = Split(share).rows(keys, "training")
    return all(np.isin(np.arange(classes), labels[part]).all() for part in (training, ~training))
