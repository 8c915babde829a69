"""Run by test_scale.py in a process of its own: a shuffled epoch over a dataset that does not fit into its memory.

python limited_memory.py FOLDER MIB
"""

import dataclasses
import json
import os
import re
import resource
import sys
from pathlib import Path

import awkward as ak
import numpy as np
import torch
from makers import make_plan, write_parquet

from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset, Loader

TEXT = """
classes: {even: label == 0, odd: label == 1}
inputs:
  parts: {limit: 200, features: [x, y, z, w], momenta: [x, y, z, w]}
"""
ROWS, COPIES = 8_000, 40


def make(folder: Path) -> Dataset:
    """A dataset of forty shards, which are all the same file under forty names."""
    generator = np.random.default_rng(0)
    columns = {
        name: ak.unflatten(generator.normal(size=100 * ROWS).astype(np.float32), 100) for name in ("x", "y", "z", "w")
    }
    file = write_parquet(folder / "rows.parquet", {"label": np.arange(ROWS) % 2, **columns})
    manifest = construct(make_plan(TEXT), str(file), folder / "dataset", progress=False)
    shard = manifest.shards[0]
    for i in range(1, COPIES):
        os.link(manifest.folder / shard["file"], manifest.folder / f"copy_{i}.arrow")
    names = [shard["file"], *(f"copy_{i}.arrow" for i in range(1, COPIES))]
    summary = {**manifest.summary, "constituents": {"parts": 100 * ROWS * COPIES}}
    return Dataset(dataclasses.replace(manifest, shards=[{**shard, "file": name} for name in names], summary=summary))


def data_size() -> int:
    """Bytes of memory of its own that this process has taken."""
    return int(re.search(r"VmData:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


def order(dataset: Dataset, rank: int = 0, ranks: int = 1) -> list[np.ndarray]:
    loader = Loader(dataset, 512, shuffle=True, seed=3, rank=rank, ranks=ranks)
    return [batch.index.numpy() for batch in loader]


if __name__ == "__main__":
    torch.set_num_threads(1)
    dataset = make(Path(sys.argv[1]))
    order(Dataset(dataclasses.replace(dataset.manifest, shards=dataset.manifest.shards[:1])))  # all threads have begun
    limit = int(sys.argv[2]) * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (data_size() + limit, resource.RLIM_INFINITY))
    alone = np.concatenate(order(dataset))
    two = [np.concatenate(step) for step in zip(order(dataset, 0, 2), order(dataset, 1, 2), strict=True)]
    try:
        np.ones(2 * limit, dtype=np.int8)
        refused = False
    except MemoryError:
        refused = True
    found = {
        "data": dataset.bytes_per_row * COPIES * ROWS / 2**20,
        "rows": len(alone),
        "different": len(np.unique(alone)),
        "expected": ROWS * COPIES,
        "refused": refused,
        "order": alone[:5000].tolist(),
        "order of two ranks": np.concatenate(two)[:5000].tolist(),
    }
    print(json.dumps(found))
