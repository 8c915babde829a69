"""Test rows that were used in the training: found by the content of their file, their event number and their inputs."""

from pathlib import Path
from typing import Any

import numpy as np

from collidekit.dataset.batch import Batch
from collidekit.dataset.hashing import comparable_rows, hash_inputs
from collidekit.dataset.loader import Dataset
from collidekit.dataset.manifest import Manifest
from collidekit.readers import content_of

SHARED_IS_ERROR = 0.001
"""If a larger fraction of test rows is also in the training files, the test is not valid."""

Array = np.ndarray[Any, Any]


def overlap_note(trained: Manifest, tested: Manifest) -> str:
    """Return a warning about test rows that were used in the training; empty if there are none."""
    return _same_files(trained, tested) or _same_rows(Dataset(trained), Dataset(tested))


def is_loud(note: str) -> bool:
    """Return whether a note of ``overlap_note`` says that the test is not valid."""
    return note.startswith(("TESTED", "TRAINING ROWS"))


def _same_files(trained: Manifest, tested: Manifest) -> str:
    """Return a warning about test files with the content of a training file."""
    learned = {content_of(entry["id"]) for entry in trained.inputs if "id" in entry}
    same = [Path(entry["path"]).name for entry in tested.inputs if "id" in entry and content_of(entry["id"]) in learned]
    if not same:
        return ""
    shown = ", ".join(same[:3]) + (f" and {len(same) - 3} more" if len(same) > 3 else "")
    return (
        f"TESTED ON TRAINING ROWS: {len(same)} of {len(tested.inputs)} test files ({shown}) have the content of training files, "
        "so all numbers look better than they are; use test files that the network was not trained on"
    )


def _same_rows(trained: Dataset, tested: Dataset) -> str:
    """Return a warning about rows with the key of a training row, which is a hash of their event or inputs."""
    analysis = tested.manifest.analysis
    if analysis.rows and not analysis.event:  # the keys are made from file and entry
        return ""
    keys = np.intersect1d(trained.column("key"), tested.column("key"))
    if not len(keys):
        return ""
    shared, (learned, _), (found, count) = len(tested), _content(trained, keys), _content(tested, keys)
    same = int(np.isin(found, learned).sum())
    if same > SHARED_IS_ERROR * shared:
        return (
            f"TESTED ON TRAINING ROWS: {same:,} of {shared:,} test rows ({same / shared:.1%}) have the inputs of training rows, "
            "so all numbers look better than they are; use test files that the network was not trained on"
        )
    if not analysis.event:
        return ""
    return (
        f"{count:,} of {shared:,} test rows ({count / shared:.1%}) have an event number ({', '.join(analysis.event)}) of the "
        "training files but other inputs: either event numbers restart in each sample, or one sample was reconstructed twice"
    )


def _content(dataset: Dataset, keys: Array) -> tuple[Array, int]:
    """Return hashes of the inputs of rows with one of the keys that can be compared, and the number of rows with such a key."""
    hashes, count = [np.zeros(0, dtype=np.int64)], 0
    for block in dataset.blocks:
        batch: Batch = dataset.read(block)
        chosen = np.isin(batch.keys.numpy(), keys)
        count += int(chosen.sum())
        if (chosen := chosen & comparable_rows(batch.inputs)).any():
            hashes.append(hash_inputs(batch.inputs)[chosen])
    return np.concatenate(hashes), count
