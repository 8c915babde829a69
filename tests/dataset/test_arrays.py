"""Rows as numpy arrays are those of a batch: the same fields, bit for bit, and the same slices and rows of an index."""

from pathlib import Path

import numpy as np
import pytest
import torch
import toys
from attrs import fields

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.arrays import RaggedArray, RowArrays
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.hashing import comparable_rows, hash_inputs, uniform
from collidekit.dataset.rows import build_rows, columns_of
from collidekit.readers import open_file


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> RowArrays:
    text = (
        toys.TOY
        + "targets: {mass: {values: {m: jet_mass}}, part: {collection: constituents, classes: {near: part_x > 0, far: part_x < 0}}}\n"
    )
    plan = Plan(*parse_analysis(text))
    path: Path = toys.write_table(tmp_path_factory.mktemp("rows") / "a.parquet", toys.toy_table(50))
    with open_file(str(path), plan.analysis.source) as reader:
        found = build_rows(plan, reader.read(columns_of(plan, reader), 0, 50), str(path), 0, 0)
    assert found.batch is found.batch
    return found.arrays


def assert_same(arrays: RowArrays, batch: Batch) -> None:
    assert len(arrays) == len(batch)
    for field in fields(Batch):
        ours, theirs = getattr(arrays, field.name), getattr(batch, field.name)
        pairs = [(ours[name], theirs[name]) for name in theirs] if isinstance(theirs, dict) else [(ours, theirs)]
        for one, other in pairs:
            if isinstance(other, Ragged):
                assert isinstance(one, RaggedArray)
                assert (one.num_features, one.has_momenta) == (other.num_features, other.has_momenta)
                assert one.targets is not None
                assert other.targets is not None
                for part in ("data", "offsets", "targets", "values", "coordinates", "counts"):
                    assert_equal(getattr(one, part), getattr(other, part))
            else:
                assert_equal(one, other)


def assert_equal(array: np.ndarray, tensor: torch.Tensor) -> None:
    assert array.dtype == tensor.numpy().dtype
    np.testing.assert_array_equal(array, tensor.numpy())


def test_a_batch_of_arrays_is_on_the_same_memory(rows: RowArrays) -> None:
    batch = Batch.of(rows)
    assert_same(rows, batch)
    assert batch.inputs["constituents"].data.data_ptr() == rows.inputs["constituents"].data.ctypes.data


def test_slices_and_rows_of_an_index(rows: RowArrays) -> None:
    batch = Batch.of(rows)
    assert_same(rows.slice(3, 17), batch.slice(3, 17))
    assert_same(rows.slice(4, 4), batch.slice(4, 4))
    index = np.random.default_rng(1).permutation(50)[:20]
    assert_same(rows.take(index), batch.take(torch.from_numpy(index)))
    assert_same(rows.slice(5, 45).take(index[index < 40]), batch.slice(5, 45).take(index[index < 40]))
    assert_same(rows.take(index[:0]), batch.take(index[:0]))
    assert [len(part) for part in rows.parts(20)] == [20, 20, 10]


def test_keys_and_hashes(rows: RowArrays) -> None:
    batch = Batch.of(rows)
    np.testing.assert_array_equal(hash_inputs(rows.inputs), hash_inputs(batch.inputs))
    np.testing.assert_array_equal(comparable_rows(rows.inputs), comparable_rows(batch.inputs))
    np.testing.assert_array_equal(uniform(rows.keys, 3), uniform(batch.keys, 3))
    keys = np.arange(50, dtype=np.int64)
    assert_same(rows.with_keys(keys), batch.with_keys(keys))
    assert rows.keys is not keys


def test_what_a_collection_does_not_have(rows: RowArrays) -> None:
    with pytest.raises(ValueError, match="no momenta"):
        _ = rows.inputs["constituents"].momenta  # type: ignore[union-attr]
