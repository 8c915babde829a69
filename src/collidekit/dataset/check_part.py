"""Counts of a check for the training files and for the test files."""

from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan, Scope
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.check_units import Quantities
from collidekit.dataset.hashing import comparable_rows, hash_inputs, mix
from collidekit.dataset.kinematics import kinematic_bin, number_of_bins
from collidekit.dataset.rows import given_weights, make_arrays, select_rows, with_truth
from collidekit.dataset.separation import summaries
from collidekit.dataset.statistics import Statistics, merge_statistics, statistics
from collidekit.dataset.targets import make_truth

Ints = NDArray[np.int64]

SAMPLE = 20_000
"""Number of rows for measuring how well single features separate classes."""


@dataclass
class CheckedFile:
    """One file: its number of rows and its problem."""

    path: str
    rows: int = 0
    problem: str = ""


@dataclass
class Part:
    """The training or the test files: counts of all rows read, and a sample of limited size."""

    name: str
    files: list[CheckedFile] = field(default_factory=list)
    seen: int = 0
    selected: int = 0
    """Rows for training: rows in a class, or with a known target."""
    truth: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)
    """Values (N, V) of each target of rows for the rows for training, one array per chunk."""
    share: float = 1.0
    """Fraction of the rows in the sample for the separation of classes."""
    cutflow: dict[str, int] = field(default_factory=dict)
    class_counts: dict[str, int] = field(default_factory=dict)
    overlaps: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    """For two classes, the number of rows in both and the place of the first one."""
    left_out: int = 0
    """Selected rows in no class, or, without classes, with no known target."""
    bad_truth: dict[str, tuple[int, str]] = field(default_factory=dict)
    """For names that classes or weights depend on, the number of rows with NaN or infinity and the place of the first one."""
    negative_weights: int = 0
    weight_sums: dict[str, float] = field(default_factory=dict)
    """Sum of the weights of the rows of each class."""
    replaced: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    """Rows dropped by each condition of the selection while one of its variables was NaN."""
    empty: dict[str, int] = field(default_factory=dict)
    """Rows without any constituent, by collection."""
    values: dict[str, int] = field(default_factory=dict)
    """Number of constituents or rows, by collection or group."""
    statistics: Statistics | None = None
    hashes: list[Ints] = field(default_factory=list)
    keys: list[Ints] = field(default_factory=list)
    places: list[Ints] = field(default_factory=list)
    labels: list[Ints] = field(default_factory=list)
    sample: list[NDArray[np.float64]] = field(default_factory=list)
    sample_labels: list[Ints] = field(default_factory=list)
    split_keys: list[Ints] = field(default_factory=list)
    """Keys of the split of all rows."""
    event_numbers: list[NDArray[Any]] = field(default_factory=list)
    """The last of the columns that number an event, for all rows."""
    kinematic_weights: NDArray[np.float64] | None = None
    """Sum of weights (classes, bins) in the kinematic bins."""
    kinematic_counts: NDArray[np.int64] | None = None
    """Number of rows (classes, bins) in the kinematic bins."""
    quantities: Quantities = field(default_factory=Quantities)
    """Angles and momenta in each file."""
    entry_bytes: float = 0.0
    """Largest size of an entry in bytes, as read."""
    first: Batch | None = None

    @property
    def rows(self) -> int:
        """Number of rows in all files, read or not."""
        return sum(file.rows for file in self.files)

    def place(self, position: int) -> str:
        """Return the file and row of a position in the joined ``hashes``."""
        file, row = np.concatenate(self.places)[position]
        return f"row {row} of {self.files[file].path}"

    def add(self, plan: Plan, chunk: ak.Array, file: int, start: int) -> None:
        """Count the entries of a file from ``start`` on."""
        path = self.files[file].path
        self.quantities.add(plan, chunk, path, start)
        lost: dict[str, int] = {}
        scope, cutflow = select_rows(plan, chunk, path, start, lost=lost)
        _merge(self.lost, lost)
        _merge(self.cutflow, cutflow)
        self.seen += len(chunk)
        self.entry_bytes = max(self.entry_bytes, chunk.nbytes / max(len(chunk), 1))
        labels, truth = self._label(plan, scope), make_truth(plan, scope, keep_all=False)
        keep = with_truth(plan, labels, truth)
        self.left_out += int((~keep).sum())
        if not keep.all():
            scope, labels, truth = scope.select(keep), labels[keep], {name: part[keep] for name, part in truth.items()}
        self.selected += scope.rows
        for name, part in truth.items():
            self.truth.setdefault(name, []).append(part)
        weights = self._weigh(plan, scope)
        for name in plan.analysis.kinematics.bins if plan.analysis.kinematics else ():
            self._finite(scope, name, scope.numbers(plan["kinematics", name]))
        for k, name in enumerate(plan.analysis.classes):
            self.weight_sums[name] = self.weight_sums.get(name, 0.0) + float(weights[labels == k].sum())
        batch = Batch.of(make_arrays(plan, scope, labels, weights, file, self.replaced, truth, with_targets=True))
        if len(batch):
            self._count(plan, batch)

    def _label(self, plan: Plan, scope: Scope) -> Ints:
        """Return the class of each row (N,), the first that holds; -1 for none. Overlaps are counted and are not errors."""
        names = list(plan.analysis.classes)
        expressions = [plan["classes", name] for name in names]
        for name in sorted({name for expression in expressions for name in expression.names}):
            self._finite(scope, name, scope[name])
        masks = [scope.mask(expression) for expression in expressions]
        for (a, one), (b, other) in combinations(zip(names, masks, strict=True), 2):
            if len(both := np.flatnonzero(one & other)):
                count, place = self.overlaps.get((a, b), (0, f"row {scope.entries[both[0]]} of {scope.path}"))
                self.overlaps[a, b] = (count + len(both), place)
        labels = np.full(scope.rows, -1, dtype=np.int64)
        for k, mask in reversed(list(enumerate(masks))):
            labels[mask] = k
        _merge(self.class_counts, {name: int((labels == k).sum()) for k, name in enumerate(names)})
        return labels

    def _weigh(self, plan: Plan, scope: Scope) -> NDArray[np.float32]:
        if ("weight",) not in plan:
            return np.ones(scope.rows, dtype=np.float32)
        weights = given_weights(plan, scope)
        self._finite(scope, "the weight", weights)
        self.negative_weights += int((weights < 0).sum())
        return weights

    def _finite(self, scope: Scope, name: str, values: Any) -> None:
        array = np.asarray(values) if getattr(values, "ndim", 0) == 1 else np.zeros(0)
        bad = np.flatnonzero(~np.isfinite(array)) if array.dtype.kind == "f" else np.zeros(0, dtype=np.int64)
        if len(bad):
            count, place = self.bad_truth.get(name, (0, f"row {scope.entries[bad[0]]} of {scope.path}"))
            self.bad_truth[name] = (count + len(bad), place)

    def _bin(self, analysis: Analysis, batch: Batch) -> None:
        """Count rows and weights in the kinematic bins."""
        shape = (len(analysis.classes), number_of_bins(analysis))
        if self.kinematic_weights is None or self.kinematic_counts is None:
            self.kinematic_weights, self.kinematic_counts = np.zeros(shape), np.zeros(shape, dtype=np.int64)
        place = (batch.labels.numpy(), kinematic_bin(batch, analysis))
        np.add.at(self.kinematic_weights, place, batch.weights.numpy().astype(np.float64))
        np.add.at(self.kinematic_counts, place, 1)

    def _count(self, plan: Plan, batch: Batch) -> None:
        self.split_keys.append(batch.keys.numpy())
        self.event_numbers += [batch.event[name].numpy() for name in plan.analysis.event[-1:]]
        if plan.analysis.kinematics:
            self._bin(plan.analysis, batch)
        self.statistics = merge_statistics(self.statistics, statistics(batch, plan.analysis))
        for name, entry in batch.inputs.items():
            if isinstance(entry, Ragged):
                _merge(self.empty, {name: int((entry.counts == 0).sum())})
                _merge(self.values, {name: len(entry.data)})
            else:
                _merge(self.values, {name: len(entry)})
        compared = comparable_rows(batch.inputs)
        self.hashes.append(hash_inputs(batch.inputs)[compared])
        if plan.analysis.event:
            self.keys.append(batch.keys.numpy()[compared])
        self.places.append(batch.source.numpy()[compared])
        self.labels.append(batch.labels.numpy()[compared])
        draw = mix(mix(batch.source[:, 0].numpy()) ^ batch.source[:, 1].numpy().astype(np.uint64))
        chosen = np.flatnonzero((draw >> np.uint64(11)) * 2.0**-53 < self.share)
        if len(chosen):
            import torch

            picked = batch.take(torch.from_numpy(chosen))
            self.sample.append(summaries(picked))
            self.sample_labels.append(picked.labels.numpy())
        if self.first is None:
            self.first = batch


def _merge(total: dict[str, int], part: dict[str, int]) -> None:
    for name, count in part.items():
        total[name] = total.get(name, 0) + count
