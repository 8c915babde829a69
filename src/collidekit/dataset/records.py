"""The rows of a dataset as awkward records, as a pandas table or as a histogram, for scripts and notebooks."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from collidekit.dataset.batch import Batch, Ragged, concatenate
from collidekit.dataset.export.columns import Column, column_values, find_columns
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.extras import need
from collidekit.histograms import fill

if TYPE_CHECKING:
    from collidekit.dataset.loader import Dataset

NAMED = ("label", "process")
"""Columns of indices that tables and histograms show as names."""


def first_rows(dataset: "Dataset", rows: int | None) -> Batch:
    """Return the first rows of a dataset, or all of them."""
    if rows is not None and rows < 1:
        raise CollidekitError(f"rows: {rows} is below 1; give at least 1")
    found: list[Batch] = []
    left = len(dataset) if rows is None else min(rows, len(dataset))
    for block in dataset.blocks:
        if left <= 0:
            break
        batch = dataset.read(block)
        found.append(batch if len(batch) <= left else batch.take(np.arange(left)))
        left -= len(found[-1])
    if not found:
        raise CollidekitError(f"{dataset.manifest.folder}: the dataset has no rows")
    return concatenate(found)


def to_awkward(dataset: "Dataset", rows: int | None = None) -> Any:
    """Return an array of records (N,): a field for each column of a row, and a list of records for each collection."""
    import awkward as ak

    batch, analysis = first_rows(dataset, rows), dataset.analysis
    columns = find_columns(analysis)
    fields = {column.name: column_values(column, batch, analysis) for column in columns if not column.collection}
    for name in analysis.collections:
        entry = batch.inputs[name]
        assert isinstance(entry, Ragged)
        members = {c.name: column_values(c, batch, analysis) for c in columns if c.collection == name}
        records = ak.zip({column: ak.unflatten(values, entry.counts.numpy()) for column, values in members.items()})
        fields[_free(name, fields)] = records
    return ak.zip(fields, depth_limit=1)


def to_pandas(dataset: "Dataset", rows: int | None = None) -> Any:
    """Return a DataFrame (N rows) of the columns of rows; constituents are left out, and ``n_<collection>`` counts them."""
    pandas = need("pandas", "pandas")
    batch, analysis = first_rows(dataset, rows), dataset.analysis
    columns = [column for column in find_columns(analysis) if not column.collection]
    frame = pandas.DataFrame({column.name: column_values(column, batch, analysis) for column in columns})
    for column, names in _names(dataset, columns).items():
        frame[column] = pandas.Categorical.from_codes(frame[column].to_numpy(), categories=list(names))
    return frame


def to_hist(dataset: "Dataset", column: str, *, bins: int, limits: tuple[float, float] | None, rows: int | None) -> Any:
    """Return a weighted histogram of a column by class; each constituent of a row has the weight of its row."""
    batch, analysis = first_rows(dataset, rows), dataset.analysis
    known = {entry.name: entry for entry in find_columns(analysis) if entry.name not in NAMED}
    if column not in known:
        raise CollidekitError(f"the dataset has no column {column!r}{did_you_mean(column, list(known))}")
    found = known[column]
    values, weights, labels = column_values(found, batch, analysis), batch.weights.numpy(), batch.labels.numpy()
    if found.collection:
        entry = batch.inputs[found.collection]
        assert isinstance(entry, Ragged)
        of_row = entry.rows.numpy()
        weights, labels = weights[of_row], labels[of_row]
    label = f"{column} [{found.unit}]" if found.unit else column
    return fill(label, values, weights, labels, tuple(analysis.classes), bins, limits)


def _names(dataset: "Dataset", columns: list[Column]) -> Mapping[str, tuple[str, ...]]:
    """Return the names for the indices of each column that has names."""
    analysis = dataset.analysis
    names = {"label": tuple(analysis.classes), "process": tuple(analysis.processes)}
    return {column.name: names[column.key[0]] for column in columns if names.get(column.key[0])}


def _free(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name = f"collection_{name}"
    return name
