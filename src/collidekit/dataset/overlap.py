"""Test rows that a training has learned from: by the content of their file, their event number and their inputs."""

from pathlib import Path
from typing import Any

import numpy as np

from collidekit.dataset.batch import Batch
from collidekit.dataset.hashing import hash_inputs, told_apart
from collidekit.dataset.loader import Dataset
from collidekit.dataset.manifest import Manifest
from collidekit.readers import content_of

SHARED_IS_ERROR = 0.001
"""Above this share of test rows that stand in the training files too, the test is worth nothing."""

Array = np.ndarray[Any, Any]


def overlap_note(trained: Manifest, judged: Manifest) -> str:
    """Return a warning of test rows that were learned from; empty where there are none."""
    return _same_files(trained, judged) or _same_rows(Dataset(trained), Dataset(judged))


def is_loud(note: str) -> bool:
    """Return whether a note of ``overlap_note`` says that the numbers are worth nothing."""
    return note.startswith(("TESTED", "TRAINING ROWS"))


def _same_files(trained: Manifest, judged: Manifest) -> str:
    """The judged files with the content of a training file."""
    learned = {content_of(entry["id"]) for entry in trained.inputs if "id" in entry}
    same = [Path(entry["path"]).name for entry in judged.inputs if "id" in entry and content_of(entry["id"]) in learned]
    if not same:
        return ""
    shown = ", ".join(same[:3]) + (f" and {len(same) - 3} more" if len(same) > 3 else "")
    return (
        f"TESTED ON TRAINING ROWS: {len(same)} of {len(judged.inputs)} test files ({shown}) have the content of training files, "
        "so all numbers look better than they are; take test files that the network has not learned from"
    )


def _same_rows(trained: Dataset, judged: Dataset) -> str:
    """Rows that have the key of a training row, which is that of their event or of their inputs."""
    analysis = judged.manifest.analysis
    if analysis.rows and not analysis.event:  # the keys are those of file and entry
        return ""
    keys = np.intersect1d(trained.column("key"), judged.column("key"))
    if not len(keys):
        return ""
    shared, (learned, _), (tested, count) = len(judged), _content(trained, keys), _content(judged, keys)
    same = int(np.isin(tested, learned).sum())
    if same > SHARED_IS_ERROR * shared:
        return (
            f"TESTED ON TRAINING ROWS: {same:,} of {shared:,} test rows ({same / shared:.1%}) have the inputs of training rows, "
            "so all numbers look better than they are; take test files that the network has not learned from"
        )
    if not analysis.event:
        return ""
    return (
        f"{count:,} of {shared:,} test rows ({count / shared:.1%}) have an event number ({', '.join(analysis.event)}) of the "
        "training files, and other inputs: either numbers begin anew in each sample, or it is one sample, reconstructed twice"
    )


def _content(dataset: Dataset, keys: Array) -> tuple[Array, int]:
    """Hashes of the inputs of the rows with one of the keys that can be told apart, and how many rows have such a key."""
    hashes, count = [np.zeros(0, dtype=np.int64)], 0
    for block in dataset.blocks:
        batch: Batch = dataset.read(block)
        chosen = np.isin(batch.keys.numpy(), keys)
        count += int(chosen.sum())
        if (chosen := chosen & told_apart(batch.inputs)).any():
            hashes.append(hash_inputs(batch.inputs)[chosen])
    return np.concatenate(hashes), count
