"""The split by a share, and the order of rows, are those of the first version: written down from a run of its code."""

import hashlib
from typing import Any

import numpy as np
import pytest

from collidekit.dataset.loader import Dataset, Loader


def checksum(loader: Loader) -> str:
    """Of the event numbers in their order."""
    events = np.concatenate([batch.event["event"].numpy() for batch in loader])
    return hashlib.sha256(events.astype("<i8").tobytes()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("settings", "training_rows", "validation_rows", "losses"),
    [
        ({}, "6528d07a85f31245", "d79c7767b65e05eb", (1.0289435, 0.9144546, 0.9587334, 0.9138474)),
        (
            {"loss_weighting": True, "train_val_split": 0.6},
            "4dc7a7eaa928b781", "06e52be70514b1e9", (1.0126888, 0.9551402, 0.9580284, 0.9543499),
        ),
        (
            {"label_smoothing": 0.1, "train_val_split": 0.7, "ema_decay": 0.9},
            "f067814a9bb67924", "57ac53f1803ea10b", (1.0189101, 0.9481390, 0.9662993, 0.9413893),
        ),
    ],
)  # fmt: skip
def test_the_same_rows_in_the_same_order_and_the_same_losses(
    training: Any,
    dataset: Dataset,
    settings: dict[str, Any],
    training_rows: str,
    validation_rows: str,
    losses: tuple[float, ...],
) -> None:
    """Rows and order bit for bit; losses up to the rounding of another processor."""
    ready = training(dataset, **settings)
    ready.data.training.set_epoch(1)
    assert checksum(ready.data.training) == training_rows
    assert checksum(ready.data.validation) == validation_rows
    ready.run()
    found = [row[name] for row in ready.history.epochs for name in ("train_loss", "val_loss")]
    np.testing.assert_allclose(found, losses, rtol=1e-5)
