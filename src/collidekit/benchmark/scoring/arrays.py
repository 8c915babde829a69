"""Predictions and truth as npz files, read without pickles."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from collidekit.benchmark.scoring.truth import Array, Truth, make_truth
from collidekit.errors import CollidekitError

VALUES, KEYS, WEIGHTS, COLUMN = "values", "keys", "weights", "column:"
"""Names of arrays in the files."""


def write_predictions(path: Path, predictions: Array, keys: Array | None = None) -> Path:
    """Write predictions (R, N, C) and, where their order is not that of the features, the keys (N,) of their rows."""
    content = {VALUES: np.asarray(predictions, dtype=np.float64)}
    _write(path, content if keys is None else {**content, KEYS: np.asarray(keys, dtype=np.int64)})
    return path


def read_predictions_npz(path: Path) -> tuple[Array, Array | None]:
    """Return predictions (R, N, C) and keys (N,), None where the file has none."""
    content = _read(path)
    if VALUES not in content:
        raise CollidekitError(f"{path}: needs the array {VALUES!r}; it has {', '.join(content)}")
    return content[VALUES], content.get(KEYS)


def write_truth(path: Path, truth: Truth) -> Path:
    """Write the truth of a sample."""
    _write(path, {KEYS: truth.keys, WEIGHTS: truth.weights, **{COLUMN + n: v for n, v in truth.columns.items()}})
    return path


def read_truth_npz(path: Path) -> Truth:
    """Return the truth that ``write_truth`` wrote."""
    content = _read(path)
    columns = {name.removeprefix(COLUMN): values for name, values in content.items() if name.startswith(COLUMN)}
    return make_truth(content[KEYS], columns, content[WEIGHTS], str(path))


def in_order_of(truth: Truth, predictions: Array, keys: Array, name: str) -> Array:
    """Return predictions (R, N, C) in the order of the truth; raises CollidekitError where the keys are not those of the truth."""
    if len(keys) == len(truth) and (keys == truth.keys).all():
        return predictions
    if predictions.shape[1:2] != (len(keys),):
        return predictions  # of another length, which is refused by the scorer
    order, place = np.argsort(keys, kind="stable"), np.argsort(truth.keys, kind="stable")
    if len(keys) != len(truth) or (keys[order] != truth.keys[place]).any():
        raise CollidekitError(f"{name}: the keys of the predictions are not those of the truth")
    found = np.empty_like(predictions)
    found[:, place] = predictions[:, order]
    return found


def _write(path: Path, content: Mapping[str, Array]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in content.items():
            # a fixed time: the same arrays give the same bytes
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(values), allow_pickle=False)


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CollidekitError(f"{path}: cannot be read as npz ({error})") from None
