"""Pickled jets of an old benchmark -> features and truth as Parquet, converted once by the organiser."""

import pickle
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from attrs import frozen

from collidekit.benchmark.build import write_table
from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.unpickle import read_pickled_arrays
from collidekit.dataset.hashing import hash_columns, uniform
from collidekit.errors import CollidekitError
from collidekit.files import replacing

Array = np.ndarray[Any, Any]

FIRST_LABEL = 400_000
"""The demo scores its test jets against ``labels[400000:]``: its file of labels is that of the whole test set."""
MOMENTA = ("E", "PX", "PY", "PZ")


@frozen
class OldJets:
    """Jets: four-momenta of the constituents of each (n, 4: E, px, py, pz) and labels (N,), 1 for top."""

    constituents: list[Array]
    labels: Array


def read_old_jets(jets: Path, labels: Path | None = None) -> OldJets:
    """Read a pickled list of [constituents, label]; ``labels`` is the pickled list of labels of the whole test set."""
    found = read_pickled_arrays(jets)
    if not isinstance(found, list | tuple) or not len(found):
        raise CollidekitError(f"{jets}: is no list of [constituents, label]")
    constituents, own = [], []
    for number, entry in enumerate(found):
        if not isinstance(entry, list | tuple) or len(entry) != 2:
            raise CollidekitError(f"{jets}: jet {number} is no [constituents, label]")
        momenta = np.asarray(entry[0], dtype=np.float64) if not isinstance(entry[0], str) else np.zeros(0)
        if momenta.ndim != 2 or momenta.shape[1] != 4 or not np.isfinite(momenta).all():
            raise CollidekitError(
                f"{jets}: jet {number}: its constituents are no finite numbers (n, 4: E, px, py, pz), but {momenta.shape}"
            )
        constituents.append(momenta)
        own.append(_label(entry[1], f"{jets}: jet {number}"))
    mine = np.array(own)
    return OldJets(constituents, mine if labels is None else _labels(labels, mine))


def _label(value: Any, where: str) -> int:
    label = np.asarray(value)
    if label.size != 1 or label.dtype.kind not in "biuf" or float(label.reshape(-1)[0]) not in (0, 1):
        raise CollidekitError(f"{where}: its label is {value!r}, and 0 or 1 is needed")
    return int(label.reshape(-1)[0])


def _labels(path: Path, own: Array) -> Array:
    """The labels of the file of the whole test set from the 400,000th on, which must agree with those of the jets."""
    found = np.asarray(read_pickled_arrays(path))
    if found.ndim != 1 or found.dtype.kind not in "biuf" or not np.isin(found, (0, 1)).all():
        raise CollidekitError(f"{path}: is no list of labels 0 and 1")
    chosen = found[FIRST_LABEL:].astype(np.int64)
    if len(chosen) != len(own):
        raise CollidekitError(
            f"{path}: has {len(found):,} labels, of which those from the {FIRST_LABEL:,}th on are scored: {len(chosen):,}, and there are "
            f"{len(own):,} jets"
        )
    if different := int((chosen != own).sum()):
        raise CollidekitError(
            f"{path}: {different:,} of {len(own):,} labels are others than those beside the jets; one of the files is of another test set"
        )
    return chosen


def write_old_jets(benchmark: Benchmark, phase: str, jets: OldJets, seed: int = 1) -> int:
    """Write features, truth and, for old taggers, the jets without labels as a pickle; return the number of jets.

    Rows are in an order that depends on the jets alone.
    """
    ragged = ak.unflatten(np.concatenate(jets.constituents), [len(jet) for jet in jets.constituents])
    sums = [np.asarray(ak.to_numpy(ak.sum(ragged[..., place], axis=1))) for place in range(4)]
    order = np.argsort(uniform(hash_columns([values.view(np.int64) for values in sums]), seed), kind="stable")
    keys = np.arange(len(order))
    (sample,) = benchmark.phase(phase).samples.values()
    columns = {name: ragged[order][..., place] for place, name in enumerate(MOMENTA)}
    write_table(benchmark.path(sample.features), {benchmark.key: keys, **columns})
    write_table(benchmark.path(sample.truth), {benchmark.key: keys, benchmark.truth_column: jets.labels[order]})
    for file in sample.public:
        with replacing(benchmark.path(file)) as temporary, temporary.open("wb") as handle:
            pickle.dump([[jets.constituents[place], -1] for place in order], handle, protocol=2)
    return len(order)
