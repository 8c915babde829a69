"""The parts of HDF5 files in SPANet's layout (arXiv 2106.03898): padded lists with a MASK, and positions in them."""

from collections.abc import Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from collidekit.errors import CollidekitError
from collidekit.readers.flatten import number
from collidekit.readers.hdf5_parts import lists

TARGETS, MASK = "TARGETS", "MASK"
NONE = -1
"""The position of a decay product that is not in the event."""

Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]


class ElsewhereError(CollidekitError):
    """A position that counts over several inputs and lies in another input than that of its column."""


class Sequential:
    """A sequential input: for each feature, a list of the entries with a true MASK, at any position."""

    def __init__(self, name: str, mask: Any, features: Mapping[str, Any], path: str) -> None:
        self.name, self._mask, self._path = name, mask, path
        self.length = int(mask.shape[1])
        self.columns: dict[str, str] = {}
        self.unreadable: dict[str, str] = {}
        self.datasets = [mask]
        self._features: dict[str, Any] = {}
        for feature, dataset in features.items():
            column = f"{name}_{feature}"
            if feature == MASK:
                continue
            if dataset.shape != mask.shape:
                self.unreadable[column] = f"of shape {dataset.shape} while the {MASK} has {mask.shape}"
            elif primitive := number(dataset.dtype):
                self.columns[column] = f"var * {primitive}"
                self._features[column] = dataset
                self.datasets.append(dataset)
            else:
                self.unreadable[column] = str(dataset.dtype)

    def mask(self, start: int, stop: int) -> Flags:
        """Return (rows, M), True for existing entries; raise CollidekitError for values other than 0 and 1."""
        values = self._mask[start:stop]
        bad = (values != 0) & (values != 1)
        if bad.any():
            row = int(np.argmax(bad.any(axis=1)))
            raise CollidekitError(
                f"{self._path}: row {start + row}: {self._mask.name} is {values[row][bad[row]][0]}; it must be true or false"
            )
        return np.asarray(values.astype(bool))

    def read(self, names: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]:
        keep = self.mask(start, stop)
        return {name: lists(self._features[name][start:stop], keep) for name in names}


class Positions:
    """TARGETS: the position of each decay product in the list of `Sequential`, or -1 if it is not in the event.

    The file holds the position in the padded list. With one sequential input, the column is ``<particle>_<product>``. With
    several, each input has a column ``<particle>_<product>_in_<input>``, for the number as a position in this input. If
    ``order`` is given, ``<particle>_<product>_joint_in_<input>`` takes the number as a position in all inputs of ``order``
    one after the other, with their padding; a position in another input is an error.
    """

    def __init__(
        self, datasets: Mapping[str, Any], sequences: Mapping[str, Sequential], path: str, order: Sequence[str]
    ) -> None:
        self._path = path
        self._sequences = sequences
        self.columns: dict[str, str] = {}
        self.unreadable: dict[str, str] = {}
        self.datasets = list(datasets.values())
        self._found: dict[str, tuple[Any, str, int, int]] = {}
        """Dataset, input, first position of this input, and end of all positions, for each column."""
        lengths = [sequences[name].length for name in order]
        first = {name: sum(lengths[:i]) for i, name in enumerate(order)}
        for path_inside, dataset in datasets.items():
            column = path_inside.removeprefix(f"{TARGETS}/").replace("/", "_")
            for name, sequence in sequences.items():
                alone = column if len(sequences) == 1 else f"{column}_in_{name}"
                self._found[alone] = (dataset, name, 0, sequence.length)
                if name in first and len(sequences) > 1:
                    self._found[f"{column}_joint_in_{name}"] = (dataset, name, first[name], sum(lengths))
        self.columns = dict.fromkeys(self._found, "int64")

    def read(self, names: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]:
        used = {self._found[name][1] for name in names}
        masks = {name: self._sequences[name].mask(start, stop) for name in used}
        return {name: ak.from_numpy(self._positions(name, masks, start, stop)) for name in names}

    def _positions(self, name: str, masks: Mapping[str, Flags], start: int, stop: int) -> Integers:
        """Return the positions (N,) among the existing entries; raise CollidekitError with the row for a masked one."""
        dataset, sequence, first, end = self._found[name]
        keep = masks[sequence]
        values = dataset[start:stop]
        with np.errstate(invalid="ignore"):
            whole = (
                np.isfinite(values) & (values == np.floor(values))
                if values.dtype.kind == "f"
                else np.ones(len(values), dtype=bool)
            )
        self._refuse(
            ~whole, dataset, values, start, "is not an integer; write -1 for a decay product that is not in the event"
        )
        self._refuse(values >= end, dataset, values, start, f"is beyond the {end} existing entries")
        place = np.where(values < 0, NONE, values).astype(np.int64)
        self._refuse(
            (place >= 0) & ((place < first) | (place >= first + keep.shape[1])),
            dataset,
            values,
            start,
            f"is in another input than {sequence}",
            ElsewhereError,
        )
        here = (place >= first) & (place < first + keep.shape[1])
        inside = np.where(here, place - first, 0)
        rows = np.arange(len(place))
        masked = here & ~keep[rows, inside] if keep.shape[1] else here
        what = f"points to an entry of {sequence} that is masked by its {MASK}; write -1 for a decay product that is not in the event"
        self._refuse(masked, dataset, values, start, what)
        before: Integers = np.cumsum(keep, axis=1) - keep
        found: Integers = np.where(here, before[rows, inside] if keep.shape[1] else 0, NONE).astype(np.int64)
        return found

    def _refuse(
        self,
        wrong: Flags,
        dataset: Any,
        values: NDArray[Any],
        start: int,
        what: str,
        kind: type[CollidekitError] = CollidekitError,
    ) -> None:
        if len(rows := np.flatnonzero(wrong)):
            raise kind(
                f"{self._path}: row {start + rows[0]}: {dataset.name.strip('/')} is {values[rows[0]]:g}, which {what}"
            )
