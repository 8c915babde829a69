"""What a check counts in the training files, and in the test files."""

from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan, Scope
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.hashing import hash_inputs, mix, told_apart
from collidekit.dataset.kinematics import kinematic_bin, number_of_bins
from collidekit.dataset.rows import given_weights, make_arrays, select_rows, with_truth
from collidekit.dataset.separation import summaries
from collidekit.dataset.statistics import Statistics, merge_statistics, statistics
from collidekit.dataset.targets import make_truth

Ints = NDArray[np.int64]

SAMPLE = 20_000
"""Rows that the separation of classes by single features is measured on."""


@dataclass
class CheckedFile:
    """One file: its rows, and what is wrong with it."""

    path: str
    rows: int = 0
    problem: str = ""


@dataclass
class Part:
    """The training or the test files: counts of all rows seen, and a bounded sample of them."""

    name: str
    files: list[CheckedFile] = field(default_factory=list)
    seen: int = 0
    selected: int = 0
    """Rows to learn from: those in a class, or with a known target."""
    truth: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)
    """Targets of rows -> values (N, V) of the rows to learn from, a chunk each."""
    share: float = 1.0
    """Of the rows that go into the sample for the separation of classes."""
    cutflow: dict[str, int] = field(default_factory=dict)
    class_counts: dict[str, int] = field(default_factory=dict)
    overlaps: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    """Two classes -> rows that are in both, and where the first one is."""
    left_out: int = 0
    """Selected rows that are in no class, or without classes of which no target is known."""
    bad_truth: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Names of which classes or weights depend -> rows in which they are not finite, and the first one."""
    negative_weights: int = 0
    weight_sums: dict[str, float] = field(default_factory=dict)
    """Class -> sum of the weights of its rows."""
    replaced: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    """Conditions of the selection -> rows that they dropped while a variable of theirs was NaN."""
    empty: dict[str, int] = field(default_factory=dict)
    """Collections -> rows without any constituent."""
    values: dict[str, int] = field(default_factory=dict)
    """Collections and groups -> constituents or rows."""
    statistics: Statistics | None = None
    hashes: list[Ints] = field(default_factory=list)
    keys: list[Ints] = field(default_factory=list)
    places: list[Ints] = field(default_factory=list)
    labels: list[Ints] = field(default_factory=list)
    sample: list[NDArray[np.float64]] = field(default_factory=list)
    sample_labels: list[Ints] = field(default_factory=list)
    split_keys: list[Ints] = field(default_factory=list)
    """Of the split, of all rows."""
    event_numbers: list[NDArray[Any]] = field(default_factory=list)
    """The last of the columns that number an event, of all rows."""
    kinematic_weights: NDArray[np.float64] | None = None
    """Sum of weights (classes, bins) in the kinematic bins."""
    kinematic_counts: NDArray[np.int64] | None = None
    """The same for numbers of rows."""
    entry_bytes: float = 0.0
    """As read, of the largest entries."""
    first: Batch | None = None

    @property
    def rows(self) -> int:
        """In all files, seen or not."""
        return sum(file.rows for file in self.files)

    def place(self, position: int) -> str:
        """Where a row of the joined ``hashes`` is."""
        file, row = np.concatenate(self.places)[position]
        return f"row {row} of {self.files[file].path}"

    def add(self, plan: Plan, chunk: ak.Array, file: int, start: int) -> None:
        """Count the entries from ``start`` on of a file."""
        path = self.files[file].path
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
        """Class of each row (N,), the first one that holds; -1 for none. Overlaps are counted and do not stop."""
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
        compared = told_apart(batch.inputs)
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
