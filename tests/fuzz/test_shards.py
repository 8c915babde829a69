"""Shards that are crafted with right checksums: one clear error, and never a signal or memory of others."""

import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import toys
from tests.fuzz.conftest import in_process

from collidekit.dataset.loader import Dataset
from collidekit.dataset.shards import BLOCK, checksum_around
from collidekit.sealed import seal

Change = Callable[[pa.RecordBatch], Any]
"""Other records, or bytes of the file and what takes their place."""

READ = """
import sys
from pathlib import Path
from collidekit.dataset.loader import Dataset, Loader
from collidekit.errors import CollidekitError
for folder in sys.argv[1:]:
    try:
        batches = list(Loader(Dataset(Path(folder)), 64, shuffle=True, threads=0))
        print("read", sum(float(batch.inputs["constituents"].data.sum()) for batch in batches))
    except CollidekitError as error:
        print(error)
"""


def with_offsets(place: int, value: int) -> Change:
    """Offsets that Arrow's own writer would refuse: changed in the file, which is why it is not compressed."""

    def change(records: pa.RecordBatch) -> tuple[bytes, bytes]:
        offsets = records.column("input:constituents").offsets.to_numpy().astype(np.int32)
        before = offsets.tobytes()
        offsets[place] = value
        return before, offsets.tobytes()

    return change


def with_column(name: str, values: Any) -> Change:
    def change(records: pa.RecordBatch) -> pa.RecordBatch:
        place = records.schema.get_field_index(name)
        kind = records.schema.field(place).type
        made = values(records.column(place).to_numpy().copy()) if callable(values) else values
        columns = [*records.columns[:place], pa.array(made, kind), *records.columns[place + 1 :]]
        return pa.RecordBatch.from_arrays(columns, schema=records.schema)

    return change


def put(place: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        values[place] = value
        return values

    return change


def fewer_rows(records: pa.RecordBatch) -> pa.RecordBatch:
    return records.slice(0, len(records) - 1)


def without_column(records: pa.RecordBatch) -> pa.RecordBatch:
    return records.drop_columns(["weight"])


def other_types(records: pa.RecordBatch) -> pa.RecordBatch:
    place = records.schema.get_field_index("label")
    return records.set_column(place, "label", records.column(place).cast(pa.int8()))


CRAFTED = {
    "an offset out of range": (with_offsets(-1, 2**30), "block 0 is not what was constructed"),
    "an offset out of range in the middle": (with_offsets(5, 2**30), "block 0 is not what was constructed"),
    "a negative offset": (with_offsets(5, -4), "block 0 is not what was constructed"),
    "a negative first offset": (with_offsets(0, -4), "block 0 is not what was constructed"),
    "decreasing offsets": (with_offsets(5, 0), "block 0 is not what was constructed"),
    "values of no row": (with_offsets(-1, 300), "do not cover its values|not what was constructed"),
    "a label beyond the classes": (with_column("label", put(3, 2)), "column 'label' is out of range"),
    "a label below -1": (with_column("label", put(3, -2)), "column 'label' is out of range"),
    "a file that is not there": (with_column("file", put(3, 1)), "column 'file' is out of range"),
    "a row below 0": (with_column("row", put(3, -1)), "column 'row' is out of range"),
    "an infinite weight": (with_column("weight", put(3, np.inf)), "a weight is NaN or infinite"),
    "a missing label": (with_column("label", [None] + [0] * 119), "column 'label' has missing values"),
    "a missing spectator": (with_column("spectator:jet_mass", [None] + [0.0] * 119), "has missing values"),
    "fewer rows": (fewer_rows, "it has 119 rows, not 120"),
    "a column less": (without_column, "its columns are not those of the analysis"),
    "other types": (other_types, "its columns are not those of the analysis"),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toys.make_dataset(tmp_path_factory.mktemp("shards"), toys.TOY, toys.toy_table(120)).manifest.folder


def craft(source: Path, target: Path, change: Change) -> Path:
    """A copy of a dataset whose only block is changed, with right checksums everywhere."""
    target.mkdir()
    manifest = json.loads((source / "manifest.json").read_text())
    shard = manifest["shards"][0]
    path = target / shard["file"]
    records = pa.ipc.open_file(source / shard["file"]).get_batch(0)
    changed = change(records)
    patch = changed if isinstance(changed, tuple) else (b"", b"")
    records = records if isinstance(changed, tuple) else changed
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, records.schema) as writer:
        writer.write_batch(records)
        end = sink.tell()
    if patch[0]:
        content = path.read_bytes()
        assert content.count(patch[0]) == 1
        path.write_bytes(content.replace(*patch))
    with pa.OSFile(str(path)) as file:
        file.seek(8)
        pa.ipc.read_message(file)
        start = file.tell()
        blocks = [(start, end - start, zlib.crc32(file.read_at(end - start, start)))]
        shard |= {"bytes": file.size(), "blocks": blocks, "around": checksum_around(file, blocks)}
    (target / "manifest.json").write_text(json.dumps(seal(manifest)))
    return target


def test_crafted_shards(folder: Path, tmp_path: Path) -> None:
    assert BLOCK >= 120
    same = craft(folder, tmp_path / "same", lambda records: records)
    assert len(Dataset(same)) == 120
    folders = [same, *(craft(folder, tmp_path / name, change) for name, (change, _) in CRAFTED.items())]
    done = in_process(READ, *folders)
    assert done.returncode == 0, done.stderr[-2000:]
    said = done.stdout.splitlines()
    assert said[0].startswith("read ")
    for line, name, (_, expected) in zip(said[1:], CRAFTED, CRAFTED.values(), strict=True):
        assert re.search(expected, line), f"{name}: {line}"
        assert "shard_00000.arrow: is damaged: " in line
        assert f"remove the folder {tmp_path / name} and run the same command again" in line
