"""A toy with all that a training can meet: ragged constituents (some rows have none), a flat group, weights, kinematics."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import torch
import uproot
from attrs import evolve

from collidekit.analysis.load import load_analysis
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset
from collidekit.tracking import Tracking
from collidekit.training.config import TrainingConfig
from collidekit.training.display import Display

Law = Callable[..., subprocess.CompletedProcess[str]]
"""Runs the law command: words of the line, ``cwd`` the folder."""

TOY = """
source: {tree: tree}
variables:
  part_r: hypot(part_x, part_y)
classes:
  background: label == 0
  signal: label == 1
inputs:
  constituents:
    limit: 64
    order: part_e
    coordinates: [part_x, part_y]
    features:
      - part_x
      - part_y
      - {name: part_loge, expression: log(part_e)}
      - {name: part_d0, default: -9, scaling: robust}
  jet:
    features:
      - jet_pt
      - {name: jet_flag, kind: flag, expression: jet_pt > 0}
weight: weight
spectators: [jet_mass, label, weight]
event: [event]
kinematics: {jet_pt: [0, 40, 60, 80, 200], reference: signal}
discriminators: {SvsB: {signal: signal, background: background}}
working_points: [0.1]
"""

GAUSSIANS = """
classes:
  left: label == 0
  right: label == 1
inputs:
  point: {features: [x, y]}
weight: weight
event: [event]
discriminators: {RvsL: {signal: right, background: left}}
"""

SMALL = {"phi": [8, 8], "f": [16]}
"""Options of a PFN that trains in no time."""


def toy_table(rows: int, seed: int = 1) -> ak.Array:
    """Signal has more, harder and more displaced constituents; event numbers are in the order of the rows."""
    generator = np.random.default_rng(seed)
    label = generator.integers(0, 2, rows)
    counts = generator.poisson(5 + 2 * label)
    counts[: min(rows, 3)] = [0, 1, 40][: min(rows, 3)]
    part, total = np.repeat(label, counts), counts.sum()
    d0 = generator.normal(0.5 * part, 1, total)
    columns = {
        "part_x": generator.normal(0, 1 + 0.3 * part, total),
        "part_y": generator.normal(0, 1 + 0.3 * part, total),
        "part_e": generator.exponential(5 + 2 * part, total) + 0.1,
        "part_d0": np.where(generator.random(total) < 0.2, -9, d0),
    }
    return ak.zip(
        {
            "label": label.astype(np.int32),
            "event": 1000 + np.arange(rows),
            "weight": generator.uniform(0.5, 1.5, rows).astype(np.float32),
            "jet_pt": (30 + generator.exponential(20 + 15 * label, rows)).astype(np.float32),
            "jet_mass": (10 + generator.exponential(5, rows)).astype(np.float32),
            **{name: ak.unflatten(values.astype(np.float32), counts) for name, values in columns.items()},
        },
        depth_limit=1,
    )


def gaussians_table(rows: int, distance: float, seed: int = 1, weight: Any = 1.0) -> ak.Array:
    """Two unit Gaussians ``distance`` apart in x, and y that says nothing."""
    generator = np.random.default_rng(seed)
    label = generator.integers(0, 2, rows)
    return ak.zip(
        {
            "label": label.astype(np.int32),
            "event": np.arange(rows),
            "x": (generator.normal(size=rows) + distance * (label - 0.5)).astype(np.float32),
            "y": generator.normal(size=rows).astype(np.float32),
            "weight": np.broadcast_to(np.float32(weight), rows).copy(),
        }
    )


def write_table(path: Path, table: ak.Array) -> Path:
    """As Parquet or as ROOT, by the suffix."""
    if path.suffix == ".root":
        with uproot.recreate(path) as file:
            file.mktree("tree", {name: ak.type(table[name]).content for name in table.fields})
            file["tree"].extend({name: table[name] for name in table.fields})
    else:
        pq.write_table(ak.to_arrow_table(table, extensionarray=False), path, row_group_size=1000)
    return path


def write_analysis(path: Path, text: str) -> Analysis:
    path.write_text(text)
    return load_analysis(path)


def make_dataset(folder: Path, text: str, table: ak.Array, chunk_size: int = 100_000) -> Dataset:
    """The constructed dataset of a table."""
    folder.mkdir(parents=True, exist_ok=True)
    analysis = write_analysis(folder / "toy.yaml", text)
    file = write_table(folder / "rows.parquet", table)
    manifest = construct(Plan(analysis), [str(file)], folder / "dataset", chunk_size=chunk_size, progress=False)
    return Dataset(manifest.folder, analysis=analysis)


def all_rows(dataset: Dataset) -> Batch:
    from collidekit.dataset.batch import concatenate

    return concatenate([dataset.read(block) for block in dataset.blocks])


def with_constituents(batch: Batch, data: torch.Tensor, offsets: torch.Tensor) -> Batch:
    """The same rows with other constituents."""
    old = batch.inputs["constituents"]
    assert isinstance(old, Ragged)
    return evolve(batch, inputs={**batch.inputs, "constituents": evolve(old, data=data, offsets=offsets)})


class StepDisplay(Display):
    """Adds a byte to a file for each step, so that another process sees how far this one is."""

    def __init__(self, path: Path) -> None:
        super().__init__(shown=False)
        self._file = path.open("ab", buffering=0)

    def step(self, mean: float, loss: float, rate: float, learning_rate: float) -> None:
        self._file.write(b".")


def train_in_process(
    dataset: Path, folder: Path, settings: Mapping[str, Any], steps: Path, tracking: Tracking | None = None
) -> None:
    """Train, or go on from the last checkpoint; a checkpoint after every step. For a process that may be killed."""
    from collidekit.tracking import active
    from collidekit.training.loop import Training

    active.WAIT = 300.0  # a tracker that is slow on a busy machine is no fault of the code
    torch.set_num_threads(1)
    data = Dataset(dataset)
    training = Training(
        TrainingConfig(**settings), data, folder, StepDisplay(steps), accelerator="cpu", save_seconds=0.0,
        tracking=tracking,
    )  # fmt: skip
    if (folder / "last.pt").exists():
        training.resume(folder / "last.pt")
    training.run()
