"""Histograms of the inputs of each class, before and after weighting, filled in chunks."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collidekit.analysis.features import Feature
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.evaluation.rows import Floats
from collidekit.files import replacing
from collidekit.sealed import AGAIN, read_as

VARIANTS = ("before", "after")
"""Variants of the weighting."""
MOST_INTEGER_BINS = 100
MOST_BINS = 100_000
"""Maximum number of bins of a feature: with more bins, single rows become visible."""
FEWEST_BINS = 10
UNDER, OVER, DEFAULT, INVALID = -4, -3, -2, -1
"""Slots after the bins: below the range, above it, equal to the default, NaN or infinite."""
EXTRA = 4


def bins_for(entries: int, most: int) -> int:
    """Return the number of bins for a number of entries, so that noise does not dominate: 2 n^(1/3) (Rice rule), at most ``most``."""
    return min(most, max(FEWEST_BINS, int(2 * entries ** (1 / 3))))


@dataclass(frozen=True)
class HistogramAxis:
    """Bins of equal width for one feature; values equal to ``default`` are counted separately."""

    label: str
    low: float
    high: float
    bins: int
    kind: str = "continuous"
    default: float | None = None
    bounds: tuple[float | None, float | None] = (None, None)
    """Ends of the range to which values were clipped: the first or the last bin holds them."""

    @property
    def edges(self) -> Floats:
        edges: Floats = np.linspace(self.low, self.high, self.bins + 1)
        return edges

    @classmethod
    def of_feature(
        cls, feature: Feature, low: float, high: float, bins: int = 50, label: str = "",
        bounds: tuple[float | None, float | None] = (None, None),
    ) -> "HistogramAxis":  # fmt: skip
        """Return bins between ``low`` and ``high`` (the bounds of the feature, or its 0.5 and 99.5 percentiles).

        Integers and flags get bins centred on whole numbers, with equal integer widths if there are too many values.
        """
        if feature.kind != "continuous":
            first, last = (0, 1) if feature.kind == "flag" else (int(np.floor(low)), int(np.ceil(high)))
            width = -(-(last - first + 1) // MOST_INTEGER_BINS)
            bins = -(-(last - first + 1) // width)
            low, high = first - 0.5, first - 0.5 + bins * width
        elif not high > low:
            low, high = low - 0.5, low + 0.5
        return cls(label or feature.axis, float(low), float(high), bins, feature.kind, feature.default, bounds)

    def slots(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Return the bin number (N,) of each value, or the number of a slot after the bins."""
        size = self.bins + EXTRA
        with np.errstate(invalid="ignore", over="ignore"):
            position = (values.astype(np.float64) - self.low) * (self.bins / (self.high - self.low))
            slots: NDArray[np.int64] = np.clip(np.nan_to_num(np.floor(position)), 0, self.bins - 1).astype(np.int64)
            slots[position < 0] = size + UNDER
            slots[position > self.bins] = size + OVER
        slots[~np.isfinite(values)] = size + INVALID
        if self.default is not None:
            slots[values == np.asarray(self.default).astype(values.dtype)] = size + DEFAULT
        return slots


@dataclass(frozen=True, eq=False)
class InputHistogram:
    """Histogram of one feature: sums of weights and of squared weights (variants, classes, bins), and entries outside the bins."""

    axis: HistogramAxis
    classes: tuple[str, ...]
    sums: Floats
    squares: Floats

    def inside(self, variant: str) -> tuple[Floats, Floats]:
        """Return sums and variances (classes, bins)."""
        index = VARIANTS.index(variant)
        return self.sums[index, :, : self.axis.bins], self.squares[index, :, : self.axis.bins]

    def share(self, slot: int, variant: str) -> Floats:
        """Return the fraction (classes,) of the weight of each class in a slot after the bins."""
        sums = self.sums[VARIANTS.index(variant)]
        total = sums.sum(axis=1)
        share: Floats = np.divide(sums[:, slot], total, out=np.zeros_like(total), where=total > 0)
        return share


class InputHistograms:
    """Histograms of many features, filled with the chunks of a dataset in any order."""

    def __init__(self, classes: Sequence[str], axes: Mapping[str, HistogramAxis]) -> None:
        self.classes = tuple(classes)
        self.axes = dict(axes)
        shapes = {key: (len(VARIANTS), len(self.classes), axis.bins + EXTRA) for key, axis in self.axes.items()}
        self._sums = {key: np.zeros(shape) for key, shape in shapes.items()}
        self._squares = {key: np.zeros(shape) for key, shape in shapes.items()}

    def fill(
        self, name: str, values: ArrayLike, labels: ArrayLike, weights_before: ArrayLike, weights_after: ArrayLike
    ) -> None:
        """Add values (N,) with the class index (N,) and both weights (N,) of their rows; rows with label -1 are left out."""
        if name not in self.axes:
            raise CollidekitError(f"no histogram for input {name!r}{did_you_mean(name, list(self.axes))}")
        value, label = np.asarray(values), np.asarray(labels)
        if value.shape != label.shape:
            raise CollidekitError(f"input {name!r}: {value.shape} values but {label.shape} labels")
        size = self.axes[name].bins + EXTRA
        known = label >= 0
        cells = label[known].astype(np.int64) * size + self.axes[name].slots(value[known])
        for variant, given in enumerate((weights_before, weights_after)):
            weights = np.asarray(given, dtype=np.float64)[known]
            for store, content in ((self._sums, weights), (self._squares, weights**2)):
                filled = np.bincount(cells, weights=content, minlength=len(self.classes) * size)
                store[name][variant] += filled.reshape(len(self.classes), size)

    def __getitem__(self, name: str) -> InputHistogram:
        return InputHistogram(self.axes[name], self.classes, self._sums[name], self._squares[name])

    def add(self, other: "InputHistograms") -> None:
        """Add the histograms of another worker, with the same classes and axes."""
        if (self.classes, self.axes) != (other.classes, other.axes):
            raise CollidekitError("input histograms with different classes or bins cannot be added")
        for name in self.axes:
            self._sums[name] += other._sums[name]
            self._squares[name] += other._squares[name]

    def save(self, path: Path) -> Path:
        """Write one ``.npz`` file of plain arrays, without pickle."""
        head = json.dumps({"classes": self.classes, "axes": {key: asdict(axis) for key, axis in self.axes.items()}})
        arrays: dict[str, Any] = {f"sums/{key}": array for key, array in self._sums.items()}
        arrays |= {f"squares/{key}": array for key, array in self._squares.items()}
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, head=np.array(head), **arrays)
        return path

    @classmethod
    def load(cls, path: Path) -> "InputHistograms":
        try:
            with np.load(path, allow_pickle=False) as file:
                head = json.loads(str(file["head"]))
                axes = {key: read_as(HistogramAxis, axis) for key, axis in head["axes"].items()}
                if most := [key for key, axis in axes.items() if not 1 <= axis.bins <= MOST_BINS]:
                    raise ValueError(f"{axes[most[0]].bins} bins of {most[0]}")
                histograms = cls(head["classes"], axes)
                for key in axes:
                    histograms._sums[key] += file[f"sums/{key}"]
                    histograms._squares[key] += file[f"squares/{key}"]
        except Exception as error:
            said = " ".join(str(error).split())[:160]
            raise CollidekitError(f"{path}: not a file of input histograms ({said}); {AGAIN}") from error
        return histograms
