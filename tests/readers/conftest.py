"""One small table, written in every format."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import awkward as ak
import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot

ROWS = 57


@pytest.fixture(scope="session")
def table() -> ak.Array:
    rng = np.random.default_rng(7)
    counts = rng.integers(0, 6, ROWS)
    return ak.zip(
        {
            "label": rng.integers(0, 3, ROWS).astype(np.int32),
            "jet_pt": rng.normal(100, 10, ROWS).astype(np.float32),
            "part_px": ak.unflatten(rng.normal(1, 1, counts.sum()).astype(np.float32), counts),
            "part_id": ak.unflatten(rng.integers(1, 9, counts.sum()).astype(np.int32), counts),
        },
        depth_limit=1,
    )


def write_tree(path: Path, table: ak.Array, baskets: int = 10) -> None:
    with uproot.recreate(path) as file:
        tree = file.mktree(
            "tree", {"label": "int32", "jet_pt": "float32", "part_px": "var * float32", "part_id": "var * int32"}
        )
        for start in range(0, len(table), baskets):
            tree.extend({name: table[name][start : start + baskets] for name in table.fields})


def write_ntuple(path: Path, table: ak.Array) -> None:
    with uproot.recreate(path) as file:
        ntuple = file.mkrntuple("tree", {name: table[name][:20] for name in table.fields})
        ntuple.extend({name: table[name][20:] for name in table.fields})


def write_parquet(path: Path, table: ak.Array) -> None:
    arrow = ak.to_arrow_table(table, extensionarray=False)
    pq.write_table(arrow, path, row_group_size=20)


def padded(table: ak.Array, name: str) -> np.ndarray:
    return ak.to_numpy(ak.fill_none(ak.pad_none(table[name], 6, clip=True), 0))


def write_structured(path: Path, table: ak.Array) -> None:
    jets = np.zeros(len(table), [("label", "i4"), ("pt", "f4")])
    jets["label"], jets["pt"] = ak.to_numpy(table.label), ak.to_numpy(table.jet_pt)
    parts = np.zeros((len(table), 6), [("px", "f4"), ("id", "i4"), ("valid", "?")])
    parts["px"], parts["id"] = padded(table, "part_px"), padded(table, "part_id")
    parts["valid"] = np.arange(6) < ak.to_numpy(ak.num(table.part_px))[:, None]
    with h5py.File(path, "w") as file:
        file.create_dataset("jets", data=jets, chunks=(10,), compression="gzip")
        file.create_dataset("parts", data=parts, chunks=(10, 6), compression="gzip")


def write_json(path: Path, table: ak.Array) -> None:
    opened: Callable[..., object] = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt") as file:  # type: ignore[attr-defined]
        for row in ak.to_list(table):
            file.write(json.dumps(row) + "\n")


STRUCTURED = {"label": "jets_label", "jet_pt": "jets_pt", "part_px": "parts_px", "part_id": "parts_id"}
WRITERS = {
    "tree.root": write_tree,
    "ntuple.root": write_ntuple,
    "rows.parquet": write_parquet,
    "structured.h5": write_structured,
    "rows.jsonl": write_json,
    "rows.json.gz": write_json,
}


@pytest.fixture(scope="session")
def files(table: ak.Array, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Path of the same rows in each format."""
    folder = tmp_path_factory.mktemp("files")
    for name, write in WRITERS.items():
        write(folder / name, table)
    return {name: str(folder / name) for name in WRITERS}
