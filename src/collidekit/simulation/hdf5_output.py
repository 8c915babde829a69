"""Write events to an HDF5 file with one dataset per column; the file gets its name only when it is complete."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np

from collidekit.errors import CollidekitError
from collidekit.simulation.columns import Columns

SUFFIXES = (".h5", ".hdf5")
ROWS_PER_CHUNK = 1000


def is_hdf5(output: Path) -> bool:
    """Return whether a name has the suffix of HDF5 files."""
    return output.name.endswith(SUFFIXES)


def write_hdf5(output: Path, parts: Iterable[Columns], made: str) -> None:
    """Write the parts in order; `event` becomes `EVENT/event`, and `made` the attribute `simulated` of the file.

    After an error or interrupt, no file remains.
    """
    temporary = output.with_name(f".{output.name}.{os.getpid()}.partial")
    try:
        with h5py.File(temporary, "w") as file:
            file.attrs["simulated"] = made
            for part in parts:
                for name, values in part.items():
                    _append(file, "EVENT/event" if name == "event" else name, values)
        temporary.replace(output)
    except OSError as error:
        raise CollidekitError(f"{output}: cannot write: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _append(file: h5py.File, name: str, values: np.ndarray) -> None:
    if name not in file:
        shape = values.shape[1:]
        file.create_dataset(
            name,
            (0, *shape),
            values.dtype,
            maxshape=(None, *shape),
            chunks=(ROWS_PER_CHUNK, *shape),
            compression="gzip",
        )
    dataset = file[name]
    dataset.resize(len(dataset) + len(values), axis=0)
    dataset[len(dataset) - len(values) :] = values
