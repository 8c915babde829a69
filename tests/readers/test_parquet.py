"""Parquet: nested columns, missing values, memory."""

import os
import subprocess
import sys
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collidekit.errors import CollidekitError
from collidekit.readers import chunks, open_file

DATA = (
    Path(os.environ.get("COLLIDEKIT_SHARED_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
    / "top_tagging"
    / "train.parquet"
)


def test_structs_become_columns(tmp_path: Path) -> None:
    jets = pa.array([[{"pt": 1.0, "id": 2}], [], None], pa.list_(pa.struct({"pt": pa.float32(), "id": pa.int16()})))
    event = pa.array([{"run": 1, "hlt": {"mu": True}}] * 3)
    pq.write_table(pa.table({"jets": jets, "event": event, "name": ["a", "b", "c"]}), tmp_path / "a.parquet")
    with open_file(str(tmp_path / "a.parquet")) as reader:
        assert reader.columns == {
            "jets_pt": "var * float32",
            "jets_id": "var * int16",
            "event_run": "int64",
            "event_hlt_mu": "bool",
        }
        rows = reader.read(["event_hlt_mu", "jets_id"], 0, 3)
        assert ak.to_list(rows) == [
            {"event_hlt_mu": True, "jets_id": [2]},
            {"event_hlt_mu": True, "jets_id": []},
            {"event_hlt_mu": True, "jets_id": []},
        ]
        with pytest.raises(CollidekitError, match="'name' cannot be used: it is string"):
            reader.read(["name"], 0, 1)


def test_kinds_of_lists_and_numbers(tmp_path: Path) -> None:
    columns = {
        "fixed": pa.array([[1, 2], [3, 4]], pa.list_(pa.int32(), 2)),
        "large": pa.array([[1.0], []], pa.large_list(pa.float64())),
        "deep": pa.array([[[1.0], []], []], pa.list_(pa.list_(pa.float32()))),
        "half": pa.array(np.array([1, 2], np.float16)),
        "flags": pa.array([[True, False], [True]]),
        "when": pa.array([0, 1], pa.timestamp("s")),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with open_file(str(tmp_path / "a.parquet")) as reader:
        assert reader.columns == {
            "fixed": "var * int32",
            "large": "var * float64",
            "deep": "var * var * float32",
            "half": "float32",
            "flags": "var * bool",
        }
        rows = reader.read(list(reader.columns), 0, 2)
        assert {name: str(rows[name].type.content) for name in rows.fields} == reader.columns
        assert ak.to_list(rows[0]) == {
            "fixed": [1, 2],
            "large": [1],
            "deep": [[1], []],
            "half": 1,
            "flags": [True, False],
        }


def test_missing_numbers_become_nan(tmp_path: Path) -> None:
    table = pa.table({"x": [1.0, None, 3.0], "v": [[1.0, None], None, []]})
    pq.write_table(table, tmp_path / "a.parquet")
    with open_file(str(tmp_path / "a.parquet")) as reader:
        rows = reader.read(["x", "v"], 0, 3)
        assert str(rows.type) == "3 * {x: float64, v: var * float64}"
        assert ak.to_list(ak.nan_to_num(rows.x, nan=-9)) == [1, -9, 3]
        assert ak.to_list(ak.nan_to_num(rows.v, nan=-9)) == [[1, -9], [], []]


def test_missing_numbers_in_any_chunk(tmp_path: Path) -> None:
    values = [float(row) if row % 3 else None for row in range(50)]
    deep = [[value, 1.0] if row % 5 else None for row, value in enumerate(values)]
    pq.write_table(pa.table({"x": values, "v": deep}), tmp_path / "a.parquet", row_group_size=20)
    with open_file(str(tmp_path / "a.parquet")) as reader:
        for size in (1, 7, 50):
            rows = ak.concatenate([rows for _, rows in chunks(reader, ["x", "v"], 0, 50, size)])
            assert ak.to_list(ak.nan_to_none(rows.x)) == values
            assert ak.to_list(ak.nan_to_none(rows.v)) == [row or [] for row in deep]


@pytest.mark.parametrize("values", [[[1], [2], [3], [4, None]], [1, 2, 3, None]])
def test_missing_integer(tmp_path: Path, values: list[object]) -> None:
    pq.write_table(pa.table({"n": values}), tmp_path / "a.parquet")
    with open_file(str(tmp_path / "a.parquet")) as reader:
        assert len(reader.read(["n"], 0, 3)) == 3
        with pytest.raises(CollidekitError, match=r"a.parquet: column 'n': the value in row 3 is missing"):
            reader.read(["n"], 1, 4)


def test_zero_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": pa.array([], pa.float32())}), tmp_path / "a.parquet")
    with open_file(str(tmp_path / "a.parquet")) as reader:
        assert reader.rows == 0
        assert len(reader.read(["x"], 0, 0)) == 0


MEASURE = """
import resource, sys
from collidekit.readers import chunks, open_file
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open_file(sys.argv[1]) as reader:
    columns = list(reader.columns)
    for begin in range(0, 3000, 1000): reader.read(columns, begin, begin + 1000)
    before = peak()
    rows = sum(len(rows) for _, rows in chunks(reader, columns, 0, reader.rows, 1000))
    assert rows == reader.rows
print(peak() - before)
"""


def test_memory_does_not_grow_with_the_row_group(tmp_path: Path) -> None:
    """One row group of 160 MB, read by 1,000 rows: the peak grows by far less than the group."""
    values = pa.array(np.random.default_rng(1).random(400_000 * 50, np.float32))
    lists = pa.ListArray.from_arrays(pa.array(np.arange(0, 20_000_001, 50, dtype=np.int32)), values)
    table = pa.table({"a": lists, "b": lists})
    pq.write_table(table, tmp_path / "large.parquet", row_group_size=400_000, compression="none", use_dictionary=False)
    assert pq.ParquetFile(tmp_path / "large.parquet").num_row_groups == 1
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "large.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 60_000  # kB


@pytest.mark.skipif(not DATA.exists(), reason="needs the real data (COLLIDEKIT_SHARED_DATA)")
def test_reference_data() -> None:
    with open_file(str(DATA)) as reader:
        assert reader.rows == 100_000
        rows = reader.read(["E", "n", "is_signal_new"], 9_990, 10_010)  # over the edge of a row group
        assert ak.all(ak.num(rows.E) == rows.n)
