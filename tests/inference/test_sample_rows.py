"""Samples of the rows of files and datasets."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import toys

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.loader import Dataset, Loader
from collidekit.inference.sample_rows import sample_rows, spread_rows


def alternating(rows: int) -> ak.Array:
    """Signal and background in turns."""
    table = toys.toy_table(rows)
    return ak.with_field(table, np.arange(rows) % 2, "label")


@pytest.mark.parametrize("limit", [2, 20, 21, 30, 37, 50, 75, 100, 599])
def test_classes_that_alternate_are_both_there(tmp_path: Path, limit: int) -> None:
    """At equal distances every second row would be of the same class."""
    files = [str(toys.write_table(tmp_path / f"{name}.parquet", alternating(300))) for name in "ab"]
    found = sample_rows(Plan(*parse_analysis(toys.TOY, "toy.yaml")), files, limit)
    assert len(found) == limit
    places = [tuple(row) for row in found.source.tolist()]
    assert places == sorted(set(places))
    if limit >= 20:
        assert 0.25 < found.labels.double().mean() < 0.75
        assert {number for number, _ in places} == {0, 1}


def test_all_rows_where_there_are_no_more(tmp_path: Path) -> None:
    file = str(toys.write_table(tmp_path / "a.parquet", alternating(37)))
    found = sample_rows(Plan(*parse_analysis(toys.TOY, "toy.yaml")), file, 1000)
    assert found.source[:, 1].tolist() == list(range(37))


@pytest.mark.parametrize("limit", [7, 50, 300])
def test_rows_of_a_dataset(tmp_path: Path, limit: int) -> None:
    dataset: Dataset = toys.make_dataset(tmp_path, toys.TOY, alternating(300))
    found = spread_rows(Loader(dataset, 64), limit)
    assert 0.9 * limit <= len(found) <= limit
    assert found.index.tolist() == sorted(set(found.index.tolist()))
    assert len(found.labels.unique()) == 2
