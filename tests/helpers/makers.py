"""Small files and datasets in which every value tells which row it belongs to."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import uproot

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset

NUMBERED = """
variables: {part_number: number * 8 + part_place}
classes: {even: label == 0, odd: label == 1}
inputs:
  parts:
    limit: 8
    momenta: [part_number, part_place, part_place, part_number]
    coordinates: [part_place, part_number]
    features: [part_number, part_place]
  jet: {features: [number, pt]}
weight: number + 1
spectators: [number, pt]
event: [event]
kinematics: {pt: [0, 50, 100], reference: even}
"""
"""An analysis of ``numbered`` in which inputs, weight, spectators and event number all hold the row's number."""


def numbered(rows: int, first: int = 0, seed: int = 0) -> dict[str, Any]:
    """Rows first, first + 1 ... with 0 to 8 constituents each; all numbers are exact in float32."""
    generator = np.random.default_rng([seed, first])
    number = np.arange(first, first + rows)
    counts = generator.integers(0, 9, rows)
    return {
        "number": number.astype(np.int32),
        "label": (number % 2).astype(np.int8),
        "pt": generator.uniform(0, 100, rows).astype(np.float32),
        "event": (number + 2**40).astype(np.uint64),
        "part_place": ak.local_index(ak.unflatten(np.zeros(counts.sum()), counts)),
    }


def write_root(path: Path, columns: Mapping[str, Any], basket: int = 1000, tree: str = "tree") -> Path:
    """A TTree with these columns, ``basket`` rows in a basket."""
    kinds = {name: _kind(values) for name, values in columns.items()}
    with uproot.recreate(path) as file:
        target = file.mktree(tree, kinds)
        for start in range(0, len(next(iter(columns.values()))), basket):
            target.extend({name: values[start : start + basket] for name, values in columns.items()})
    return path


def write_parquet(path: Path, columns: Mapping[str, Any], group: int = 1000) -> Path:
    """A Parquet file with these columns, ``group`` rows in a row group."""
    table = ak.to_arrow_table(ak.zip(dict(columns), depth_limit=1), extensionarray=False)
    pq.write_table(table, path, row_group_size=group)
    return path


def write(path: Path, columns: Mapping[str, Any], size: int = 1000) -> Path:
    """A file of the format that its suffix says."""
    return write_root(path, columns, size) if path.suffix == ".root" else write_parquet(path, columns, size)


def make_plan(text: str, path: str = "analysis.yaml") -> Plan:
    """The plan of an analysis that is given as text."""
    return Plan(*parse_analysis(dedent(text), path))


def make_dataset(folder: Path, text: str, columns: Mapping[str, Any], **options: Any) -> Dataset:
    """Construct a dataset from one file with these columns."""
    file = write_parquet(folder / "rows.parquet", columns)
    return Dataset(construct(make_plan(text), str(file), folder / "dataset", **{"progress": False, **options}))


def _kind(values: Any) -> str:
    if isinstance(values, ak.Array) and values.ndim == 2:
        return f"var * {ak.type(ak.flatten(values)).content}"
    return str(np.asarray(values).dtype)
