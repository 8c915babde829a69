"""Columns of one array of an HDF5 or NPZ file."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import awkward as ak
import h5py
import numpy as np
from numpy.typing import NDArray

from collidekit.readers.base import bad_file
from collidekit.readers.flatten import number

BATCH = 8_192
"""Rows of padded arrays in memory at a time."""
MOST_NUMBERED = 32
"""Largest M for which the members of an (N, M) array are also separate columns."""


class Part(Protocol):
    """A dataset or table that provides some columns."""

    columns: dict[str, str]
    unreadable: dict[str, str]
    datasets: list[Any]

    def read(self, names: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]: ...


def read_parts(
    path: str, parts: Mapping[str, Part], columns: Sequence[str], start: int, stop: int
) -> dict[str, ak.Array]:
    """Return rows of columns; each part is read once, ``BATCH`` rows at a time."""
    pieces: dict[str, list[ak.Array]] = {name: [] for name in columns}
    wanted: dict[int, tuple[Part, list[str]]] = {}
    for name in columns:
        wanted.setdefault(id(parts[name]), (parts[name], []))[1].append(name)
    for begin in range(start, stop, BATCH):
        end = min(begin + BATCH, stop)
        for part, names in wanted.values():
            try:
                arrays = part.read(names, begin, end)
            except Exception as error:
                raise bad_file(path, error, f"column {names[0]!r}, rows {begin} to {end}, ") from error
            for name in names:
                pieces[name].append(arrays[name])
    return {name: ak.concatenate(arrays) if len(arrays) > 1 else arrays[0] for name, arrays in pieces.items()}


def native(values: NDArray[Any]) -> NDArray[Any]:
    """Return the numbers C-contiguous and in the type that ``number`` gives."""
    return np.ascontiguousarray(values, dtype=number(values.dtype))


def lists(values: NDArray[Any], keep: NDArray[np.bool_]) -> ak.Array:
    """Return the kept entries of (N, M) values as N lists."""
    offsets = np.concatenate([[0], np.cumsum(keep.sum(axis=1))])
    content = ak.contents.NumpyArray(native(values[keep]))
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), content))


def before_padding(padding: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return True (N, M) up to the last entry of each row that is not padding."""
    return np.asarray(np.logical_or.accumulate(~padding[:, ::-1], axis=1)[:, ::-1])


def is_padding(values: NDArray[Any]) -> NDArray[np.bool_]:
    zero: NDArray[np.bool_] = values == 0
    return zero | np.isnan(values) if values.dtype.kind == "f" else zero


def full(values: NDArray[Any]) -> ak.Array:
    """Return (N,) as numbers, and (N, M ...) as lists of length M."""
    return ak.from_regular(ak.from_numpy(native(values), regulararray=True), axis=None)


def part_of(name: str, dataset: Any) -> Part:
    """Return a dataset as columns whose names begin with ``name``."""
    if dataset.dtype.names:
        return StructuredPart(name, dataset)
    if dataset.ndim == 1 and h5py.check_vlen_dtype(dataset.dtype):
        return VariablePart(name, dataset)
    return NumericPart(name, dataset)


class StructuredPart:
    """Arrays with named fields: (N,) gives numbers, (N, M) gives lists without the entries whose field ``valid`` is false."""

    def __init__(self, name: str, dataset: Any) -> None:
        self.columns: dict[str, str] = {}
        self.unreadable: dict[str, str] = {}
        self.datasets = [dataset]
        self._fields: dict[str, str] = {}
        dtype = dataset.dtype
        self._has_valid = len(dataset.shape) == 2 and "valid" in dtype.names
        for field in dtype.names:
            column = f"{name}_{field}" if name else field
            base, inner = dtype[field].base, dtype[field].shape
            primitive = number(base)
            if primitive is None or len(dataset.shape) > 2:
                self.unreadable[column] = str(dtype[field])
            elif not (self._has_valid and field == "valid"):
                self._fields[column] = field
                self.columns[column] = "var * " * (len(dataset.shape) - 1 + len(inner)) + primitive

    def read(self, names: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]:
        fields = list(dict.fromkeys(self._fields[name] for name in names))
        rows = self.datasets[0].fields(fields + ["valid"] * self._has_valid)[start:stop]
        if not self._has_valid:
            return {name: full(rows[self._fields[name]]) for name in names}
        valid = rows["valid"].astype(bool)
        counts = valid.sum(axis=1)
        return {name: ak.unflatten(full(rows[self._fields[name]][valid]), counts) for name in names}


class VariablePart:
    """Variable-length HDF5 lists (N,), read as lists."""

    def __init__(self, name: str, dataset: Any) -> None:
        self.name = name or dataset.name.split("/")[-1]
        members = np.dtype(h5py.check_vlen_dtype(dataset.dtype))
        good = number(members) and members.isnative  # h5py does not swap the bytes of other types
        self.columns = {self.name: f"var * {number(members)}"} if good else {}
        self.unreadable = {} if good else {self.name: f"variable-length lists of {members}"}
        self.datasets = [dataset]

    def read(self, names: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]:
        rows = self.datasets[0][start:stop]
        values = ak.from_numpy(native(np.concatenate(rows)))
        return {self.name: ak.unflatten(values, np.array([len(row) for row in rows]))}


class NumericPart:
    """Plain arrays: (N,) gives numbers; (N, M) lists and their members as numbers; (N, M, F) F lists without zero padding."""

    def __init__(self, name: str, dataset: Any) -> None:
        name = name or dataset.name.split("/")[-1]
        self.name = name
        self.columns: dict[str, str] = {}
        self.unreadable: dict[str, str] = {}
        self.datasets = [dataset]
        primitive, shape = number(dataset.dtype), dataset.shape
        if primitive is None or len(shape) > 3:
            self.unreadable[name] = f"{dataset.dtype} of shape {shape}"
        elif len(shape) == 1 or shape[1:] == (1,):
            self.columns[name] = primitive
        elif len(shape) == 2:
            self.columns[name] = f"var * {primitive}"
            if shape[1] <= MOST_NUMBERED:
                self.columns |= {f"{name}_{member}": primitive for member in range(shape[1])}
        else:
            self.columns |= {f"{name}_{member}": f"var * {primitive}" for member in range(shape[2])}

    def read(self, names: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]:
        values = self.datasets[0][start:stop]
        if values.ndim == 1 or values.shape[1:] == (1,):
            return {self.name: full(values.reshape(-1))}
        members = {name: int(name.removeprefix(f"{self.name}_")) for name in names if name != self.name}
        if values.ndim == 2:
            arrays = {name: full(values[:, member]) for name, member in members.items()}
            return arrays | ({self.name: full(values)} if self.name in names else {})
        keep = before_padding(np.asarray(is_padding(values).all(axis=2)))
        return {name: lists(values[:, :, member], keep) for name, member in members.items()}
