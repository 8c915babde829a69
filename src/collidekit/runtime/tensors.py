"""Prediction with a graph from input tensors that the user has made."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.runtime.blocks import MOST_PAIRS
from collidekit.runtime.runner import Runner
from collidekit.runtime.schema import TensorIn

Array = np.ndarray[Any, Any]


def run_tensors(runner: Runner, inputs: Mapping[str, Any]) -> dict[str, Array]:
    """Return all outputs of a graph; rows are predicted in parts, to limit the memory."""
    given = check_tensors(runner.schema.inputs, inputs)
    given = {name: runner.as_given(name, values) for name, values in given.items()}
    rows = len(next(iter(given.values())))
    slots = sum(values.shape[1] for name, values in given.items() if values.ndim > 1 and name in runner.collections)
    size = max(1, MOST_PAIRS // max(slots, 1) ** 2)
    parts = [
        runner.session.run(
            runner.session.outputs, {name: values[start : start + size] for name, values in given.items()}
        )
        for start in range(0, max(rows, 1), size)
    ]
    return parts[0] if len(parts) == 1 else {n: np.concatenate([part[n] for part in parts]) for n in parts[0]}


def check_tensors(expected: Sequence[TensorIn], inputs: Mapping[str, Any]) -> dict[str, Array]:
    """Return the tensors as arrays; raise CollidekitError if one is missing or unknown, or if a shape is wrong."""
    names = [entry.name for entry in expected]
    if missing := [name for name in names if name not in inputs]:
        raise CollidekitError(f"input {missing[0]!r} is missing; the graph takes {', '.join(names)}")
    if unknown := [name for name in inputs if name not in names]:
        raise CollidekitError(
            f"there is no input {unknown[0]!r}{did_you_mean(unknown[0], names)}; the graph takes {', '.join(names)}"
        )
    found: dict[str, Array] = {}
    sizes: dict[str, tuple[int, str]] = {}
    for entry in expected:
        values = np.asarray(inputs[entry.name])
        if values.dtype.kind not in "fiub":
            raise CollidekitError(f"input {entry.name!r}: the type {values.dtype} is not a number type")
        _check_size(entry.name, values)
        if values.ndim != len(entry.shape):
            raise _wrong_shape(entry, values)
        for size, wanted in zip(values.shape, entry.shape, strict=True):
            if isinstance(wanted, int):
                if size != wanted:
                    raise _wrong_shape(entry, values)
                continue
            before, name = sizes.setdefault(wanted, (size, entry.name))
            if size != before:
                raise CollidekitError(
                    f"input {entry.name!r} has {size} for {wanted}, and input {name!r} has {before}; the sizes must agree"
                )
        found[entry.name] = values
    return found


def _check_size(name: str, values: Array) -> None:
    """Raise CollidekitError for numbers that are too large for single precision."""
    most = np.finfo(np.float32).max
    too_large = np.isfinite(values) & (np.abs(values) > most)
    if values.dtype.itemsize > 4 and too_large.any():
        raise CollidekitError(
            f"input {name!r}: holds {values[too_large][0]:g}, but single precision ends at {most:.3g}; use NaN for a missing value"
        )


def _wrong_shape(entry: TensorIn, values: Array) -> CollidekitError:
    wanted = ", ".join(map(str, entry.shape))
    return CollidekitError(f"input {entry.name!r} has shape {values.shape}, not ({wanted})")
