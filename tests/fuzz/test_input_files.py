"""Damaged input files of every format: columns, or one clear error; never a traceback, a signal, or memory without end."""

import random
import resource
from pathlib import Path

import awkward as ak
import h5py
import numpy as np
import odd
import pytest
import toys
import uproot
from odd import SEED, damage_bytes
from tests.fuzz.conftest import in_process

EXAMPLES = 40

READ = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({12 << 30}, {12 << 30}))
sys.path.insert(0, sys.argv[1])
from odd import ends_well
from collidekit.readers import open_file

def read(path):
    with open_file(path) as reader:
        names = list(reader.columns)
        for start in range(0, min(reader.rows, 1000), 100):
            reader.read(names, start, min(start + 100, reader.rows))

for path in sys.argv[2:]:
    print(path, flush=True)
    print(ends_well(lambda: read(path))[:300] or "read", flush=True)
"""


def write_root(path: Path, table: ak.Array) -> None:
    fields = {name: table[name] for name in table.fields}
    with uproot.recreate(path, compression=uproot.ZLIB(1)) as file:
        file["tree"] = fields


def write_rntuple(path: Path, table: ak.Array) -> None:
    with uproot.recreate(path) as file:
        file.mkrntuple("tree", {name: table[name] for name in table.fields})


def write_hdf5(path: Path, table: ak.Array) -> None:
    flat = [name for name in table.fields if table[name].ndim == 1]
    columns = {name: ak.to_numpy(table[name]) for name in flat}
    with h5py.File(path, "w") as file:
        records = np.zeros(len(table), dtype=[(name, values.dtype) for name, values in columns.items()])
        for name, values in columns.items():
            records[name] = values
        file.create_dataset("jets", data=records, chunks=(50,), compression="gzip", shuffle=True)


def write_lines(path: Path, table: ak.Array) -> None:
    path.write_text(ak.to_json(table, line_delimited=True), encoding="utf-8")


def write_npz(path: Path, table: ak.Array) -> None:
    np.savez_compressed(path, **{name: ak.to_numpy(table[name]) for name in table.fields if table[name].ndim == 1})


def write_csv(path: Path, table: ak.Array) -> None:
    flat = [name for name in table.fields if table[name].ndim == 1]
    rows = zip(*(table[name].to_list() for name in flat), strict=True)
    path.write_text("\n".join(",".join(map(str, row)) for row in [flat, *rows]), encoding="utf-8")


WRITERS = {
    "a.root": write_root,
    "b.root": write_rntuple,
    "c.parquet": toys.write_table,
    "d.h5": write_hdf5,
    "e.jsonl": write_lines,
    "f.csv": write_csv,
    "g.npz": write_npz,
}


@pytest.mark.parametrize("name", WRITERS)
def test_damaged_files_are_read_or_refused(tmp_path: Path, name: str) -> None:
    chance = random.Random(f"{SEED or 1} {name}")
    whole = tmp_path / name
    WRITERS[name](whole, toys.toy_table(200))
    content = whole.read_bytes()
    paths = [whole]
    for number in range(EXAMPLES):
        path = tmp_path / f"{number}_{name}"
        path.write_bytes(damage_bytes(content, chance))
        paths.append(path)
    done = in_process(READ, Path(odd.__file__).parent, *paths, timeout=300)
    last = done.stdout.strip().splitlines()[-2:]
    assert done.returncode == 0, f"{last}\n{done.stderr[-3000:]}"
    assert done.stdout.splitlines()[1] == "read", done.stdout[:1000]
    assert done.stdout.count("\nread") < len(paths), "no damage was seen"
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 8 << 20, "kB; a damaged length took memory"
