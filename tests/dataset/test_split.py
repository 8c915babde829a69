"""The split into training and validation, and what may spoil it."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
from makers import make_dataset, make_plan, write

from collidekit.dataset.check import check
from collidekit.dataset.construct import construct
from collidekit.dataset.hashing import hash_inputs
from collidekit.dataset.loader import Dataset, Loader
from collidekit.dataset.parts import Split
from collidekit.dataset.split import large_groups, largest_group, missed_share, repeated_keys
from collidekit.dataset.warnings import data_warnings
from collidekit.errors import CollidekitError
from collidekit.training.config import TrainingConfig
from collidekit.training.prepare import prepare

TRACKS = """
classes: {light: label == 0, b: label == 1}
inputs: {tracks: {limit: 10, features: [trk_d0]}}
"""
NUMBERS = """
event: [event]
classes: {light: label == 0, b: label == 1}
inputs: {ev: {features: [x]}}
"""
JETS = """
rows: Jet
classes: {light: Jet_label == 0, b: Jet_label == 1}
inputs: {jet: {features: [Jet_x]}}
"""


def trackless(folder: Path, share: float, rows: int = 6000) -> Dataset:
    generator = np.random.default_rng(1)
    counts = np.where(generator.random(rows) < share, 0, generator.integers(1, 8, rows))
    values = generator.normal(size=counts.sum()).astype(np.float32)
    columns = {"label": generator.integers(0, 2, rows), "trk_d0": ak.unflatten(values, counts)}
    return make_dataset(folder, TRACKS, columns)


@pytest.mark.parametrize("share", [0.01, 0.35, 0.9])
def test_rows_with_equal_inputs_are_on_both_sides(tmp_path: Path, share: float) -> None:
    dataset = trackless(tmp_path, share)
    empty, validation = [], []
    for batch in Loader(dataset, 1000):
        empty.append(batch.inputs["tracks"].counts.numpy() == 0)
        validation.append(Split(0.85).rows(batch.keys.numpy(), "validation"))
    masks = np.concatenate(empty), np.concatenate(validation)
    error = np.sqrt(0.85 * 0.15)
    assert abs(masks[1].mean() - 0.15) < 4 * error / np.sqrt(6000)
    assert abs(masks[1][masks[0]].mean() - 0.15) < 4 * error / np.sqrt(masks[0].sum())
    assert "the same inputs" in data_warnings(dataset.manifest)[0]
    assert not prepare(dataset, TrainingConfig()).warnings


def test_small_groups_stay_together_and_a_good_split_stays_the_same(tmp_path: Path) -> None:
    values = np.repeat(np.random.default_rng(0).normal(size=500), 10)
    text = TRACKS.replace("tracks: {limit: 10, features: [trk_d0]}", "ev: {features: [x]}")
    dataset = make_dataset(tmp_path, text, {"label": np.arange(5000) % 2, "x": values})
    for batch in Loader(dataset, 1000):
        assert np.array_equal(batch.keys.numpy(), hash_inputs(batch.inputs))
    assert not data_warnings(dataset.manifest)


def test_groups_are_counted_over_all_chunks() -> None:
    assert largest_group(6000) == 19
    chunks = [repeated_keys(np.repeat([5, 6], [8, 1])), repeated_keys(np.repeat([5, 7], [12, 3]))]
    assert large_groups(chunks, 6000) == {5: 20}


def test_the_split_does_not_depend_on_workers(tmp_path: Path) -> None:
    rows = 24_000
    file = write(tmp_path / "rows.parquet", {"label": np.arange(rows) % 2, "x": np.zeros(rows)})
    text = TRACKS.replace("tracks: {limit: 10, features: [trk_d0]}", "ev: {features: [x]}")
    shards = []
    for workers in (1, 2):
        out = tmp_path / f"out{workers}"
        construct(make_plan(text), str(file), out, workers=workers, chunk_size=7000, progress=False)
        shards.append([path.read_bytes() for path in sorted(out.glob("*.arrow"))])
    assert shards[0] == shards[1]


def test_jets_of_one_event_are_on_one_side_without_an_event_number(tmp_path: Path) -> None:
    generator = np.random.default_rng(2)
    counts = generator.integers(2, 6, 3000)
    jets = int(counts.sum())
    columns = {
        "Jet_label": ak.unflatten(np.arange(jets) % 2, counts),
        "Jet_x": ak.unflatten(generator.normal(size=jets), counts),
    }
    dataset = make_dataset(tmp_path, JETS, columns)
    sides: dict[int, set[bool]] = {}
    for batch in Loader(dataset, 1000):
        for entry, side in zip(
            batch.source[:, 1].tolist(), Split(0.85).rows(batch.keys.numpy(), "validation"), strict=True
        ):
            sides.setdefault(entry, set()).add(bool(side))
    assert len(sides) == 3000
    assert all(len(found) == 1 for found in sides.values())
    assert abs(np.mean([True in found for found in sides.values()]) - 0.15) < 0.03


def test_a_constant_event_number_is_an_error(tmp_path: Path) -> None:
    columns = {"label": np.arange(100) % 2, "x": np.arange(100.0), "event": np.full(100, 7)}
    with pytest.raises(CollidekitError, match=r"event number \(event\) is the same in every row"):
        make_dataset(tmp_path, NUMBERS, columns)
    file = write(tmp_path / "again.parquet", columns)
    assert any("is the same in every row" in problem.text for problem in check(make_plan(NUMBERS), [str(file)]).errors)


def test_a_share_that_misses_its_aim_is_said(tmp_path: Path) -> None:
    rows = 5000
    columns = {
        "label": np.arange(rows) % 2,
        "x": np.random.default_rng(0).normal(size=rows),
        "event": np.arange(rows) // 2 % 7,
    }
    dataset = make_dataset(tmp_path, NUMBERS, columns)
    (said,) = prepare(dataset, TrainingConfig(train_val_split=0.5)).warnings
    assert "of 5,000 rows are for training, but train_val_split sets 50.0%" in said
    file = write(tmp_path / "again.parquet", columns)
    plan = make_plan(NUMBERS + "training: {train_val_split: 0.5}\n")
    assert any("sets 50.0%" in problem.text for problem in check(plan, [str(file)]).warnings)
    assert not missed_share(846, 1000, Split(0.85))
    assert not missed_share(9, 10, Split(0.5), squares=50)
    assert missed_share(700, 1000, Split(0.85))
