"""Exported events are the inputs of a training, in every format, and are read back to the same bits."""

import json
import os
from pathlib import Path
from typing import Any

import awkward as ak
import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot
from makers import make_dataset, make_plan, write_parquet

from collidekit.analysis.scope import Plan
from collidekit.dataset.batch import Batch, Ragged, concatenate
from collidekit.dataset.export import Exported, export_events
from collidekit.dataset.loader import Loader
from collidekit.dataset.parts import Folds, Split
from collidekit.dataset.rows import build_rows, columns_of
from collidekit.errors import CollidekitError
from collidekit.readers import open_file
from collidekit.starter.starter import start_analysis

ANALYSIS = """
selection: jet_pt > 10
classes: {background: label == 0, signal: label == 1}
inputs:
  parts:
    limit: 4
    where: part_pt > 1
    order: part_pt
    momenta: [part_pt, part_d0, part_pt, part_pt]
    coordinates: [part_d0, part_pt]
    features:
      - {name: part_pt, unit: GeV}
      - {name: part_log, expression: log(part_pt), unit: log GeV}
      - {name: part_d0, default: -5, bounds: [-1, 1]}
  jet: {features: [{name: jet_pt, unit: GeV}, {name: mass2, expression: jet_mass ** 2, unit: GeV^2}]}
targets:
  tops: {collection: parts, parents: {a: {b: true_index}}}
  mass: {values: {m: true_mass}, unit: GeV}
  kind: {collection: parts, classes: {near: part_d0 < 0, far: part_d0 >= 0}}
weight: weight
spectators: [jet_pt]
units: {jet_pt: GeV}
event: [event]
"""
PLAIN = """
source: {tree: SOURCE}
classes: {background: label == 0, signal: label == 1}
inputs:
  parts:
    limit: 4
    momenta: [parts_px, parts_py, parts_pz, parts_E]
    coordinates: [parts_coordinate_0, parts_coordinate_1]
    features: [part_pt, part_log, part_d0]
  jet: {features: [jet_pt, mass2]}
targets:
  tops: {collection: parts, parents: {a: {b: a_b}}}
  mass: {values: {m: m}}
  kind: {collection: parts, classes: {near: kind == 0, far: kind == 1}}
weight: weight
spectators: [spectator_jet_pt]
event: [event]
"""
ROWS = 300


def columns(rows: int = ROWS, seed: int = 3) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    counts = random.integers(0, 9, rows)
    counts[0] = 0
    pt = random.uniform(0.5, 80, counts.sum()).astype(np.float32)
    d0 = random.normal(0, 1, counts.sum()).astype(np.float32)
    d0[random.uniform(size=len(d0)) < 0.02] = np.nan
    mass = random.uniform(100, 200, rows)
    mass[::50] = np.nan
    return {
        "label": random.integers(0, 2, rows).astype(np.int32),
        "jet_pt": random.uniform(0, 100, rows).astype(np.float32),
        "jet_mass": random.uniform(1, 9, rows).astype(np.float32),
        "part_pt": ak.unflatten(pt, counts),
        "part_d0": ak.unflatten(d0, counts),
        "true_index": np.where(counts > 0, random.integers(-1, 99, rows) % np.maximum(counts, 1), -1).astype(np.int32),
        "true_mass": mass,
        "weight": random.normal(1, 1, rows),
        "event": (np.arange(rows) + 2**60).astype(np.int64),
    }


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_parquet(tmp_path_factory.mktemp("rows") / "rows.parquet", columns()))


def rows_of(plan: Plan, path: str | Path) -> Batch:
    with open_file(str(path), plan.analysis.source) as reader:
        chunks = [(start, min(start + 77, reader.rows)) for start in range(0, reader.rows, 77)]
        needed = columns_of(plan, reader)
        return concatenate([build_rows(plan, reader.read(needed, a, b), str(path), 0, a).batch for a, b in chunks])


def same(one: Any, other: Any) -> None:
    """Bit for bit, NaN included."""
    one, other = np.asarray(one), np.asarray(other)
    assert one.shape == other.shape
    assert one.dtype == other.dtype
    assert one.tobytes() == other.tobytes()


def check_batch(read: Batch, first: Batch) -> None:
    for name, entry in first.inputs.items():
        if isinstance(entry, Ragged):
            found = read.inputs[name]
            assert isinstance(found, Ragged)
            same(found.offsets, entry.offsets)
            same(found.data, entry.data)
            assert entry.targets is not None
            assert found.targets is not None
            same(found.targets[:, 0], entry.targets[:, 0])  # the target; the second one is the place in each file
        else:
            same(read.inputs[name], entry)
    for name in ("labels", "weights"):
        same(getattr(read, name), getattr(first, name))
    same(read.truth["mass"], first.truth["mass"])
    same(read.event["event"], first.event["event"])
    same(read.spectators["spectator_jet_pt"], first.spectators["jet_pt"])


@pytest.mark.parametrize("suffix", ["npz", "h5", "root", "parquet"])
def test_the_same_inputs_come_back(file: str, tmp_path: Path, suffix: str) -> None:
    plan = make_plan(ANALYSIS)
    made = export_events(plan, file, tmp_path / f"e.{suffix}")
    first = rows_of(plan, file)
    assert made.counts.kept == len(first) > 200
    source = "{tree: events}" if suffix == "root" else "{format: auto}"
    read = rows_of(make_plan(PLAIN.replace("{tree: SOURCE}", source)), made.path)
    check_batch(read, first)
    parts = first.inputs["parts"]
    assert isinstance(parts, Ragged)
    assert parts.targets is not None
    true_pt = columns()["part_pt"]
    with open_file(str(made.path)) as reader:
        found = reader.read(["a_b", "part_pt", "file", "entry"], 0, reader.rows)
    same(ak.to_numpy(found["entry"]), first.source[:, 1])
    expected = columns()["true_index"]
    inside = 0
    for position, values, entry in zip(found["a_b"], found["part_pt"], found["entry"], strict=True):
        want = float(true_pt[entry][expected[entry]]) if expected[entry] >= 0 else -1
        assert position == (list(values).index(want) if want in list(values) else -1)
        inside += position >= 0
    assert inside > 50
    assert any("leaves them out: -1" in note for note in made.notes)


@pytest.mark.parametrize("units", [None, "MeV"])
@pytest.mark.parametrize("suffix", ["npz", "h5", "root", "parquet"])
def test_init_writes_the_analysis_again(file: str, tmp_path: Path, suffix: str, units: str | None) -> None:
    plan = make_plan(ANALYSIS)
    made = export_events(plan, file, tmp_path / f"e.{suffix}", units=units)
    started = start_analysis([str(made.path)], tmp_path / "start.yaml")
    again = started.analysis
    assert "read from the metadata of the file" in started.notes[0]
    assert [f.name for f in again.inputs["parts"].features] == ["part_pt", "part_log", "part_d0"]
    assert (again.spectators, again.event) == (["spectator_jet_pt"], ["event"])
    assert again.units == {"spectator_jet_pt": units or "GeV"}
    expected, found = rows_of(plan, file), rows_of(Plan(again), made.path)
    tolerance = 1e-5 if units else 0.0
    for name in ("parts", "jet"):
        one, other = (
            entry.data if isinstance(entry, Ragged) else entry for entry in (found.inputs[name], expected.inputs[name])
        )
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.weights, expected.weights)
    np.testing.assert_allclose(found.truth["mass"], expected.truth["mass"], rtol=tolerance)
    with open_file(str(made.path), again.source) as reader:
        written = reader.read(["a_b", "kind"], 0, reader.rows)
    np.testing.assert_array_equal(found.truth["tops"][:, 0], written["a_b"])
    parts = found.inputs["parts"]
    assert isinstance(parts, Ragged)
    assert parts.targets is not None
    np.testing.assert_array_equal(parts.targets[:, 0], ak.to_numpy(ak.flatten(written["kind"])))


@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_init_of_an_earlier_version_knows_what_is_truth(
    file: str, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its metadata has no definition of the analysis."""
    made = export_events(make_plan(ANALYSIS), file, tmp_path / f"e.{suffix}")
    monkeypatch.setattr("collidekit.starter.starter.read_metadata", lambda text: None)
    started = start_analysis([str(made.path)], tmp_path / "start.yaml")
    truth = {column.name for column in made.columns if column.key[0] in ("truth", "member")}
    assert "a_b" in truth
    assert {*truth, "file", "entry"} == set(started.positions)
    features = {f.expression for entry in started.analysis.inputs.values() for f in entry.features}
    assert not features & {*truth, "file", "entry"}


def test_padded_arrays(file: str, tmp_path: Path) -> None:
    """In NPZ and HDF5 alike; the values by a second way, from the batch."""
    plan = make_plan(ANALYSIS)
    export_events(plan, file, tmp_path / "e.npz", padding=float("nan"))
    export_events(plan, file, tmp_path / "e.h5")
    first = rows_of(plan, file).inputs["parts"]
    assert isinstance(first, Ragged)
    block = first.padded(first.values, 4).numpy()
    there = np.arange(4) < first.counts.numpy()[:, None]
    found = np.load(tmp_path / "e.npz", allow_pickle=False)
    about = json.loads(str(found["metadata"]))
    with h5py.File(tmp_path / "e.h5") as stored:
        for i, name in enumerate(("part_pt", "part_log", "part_d0")):
            same(found[name], np.where(there, block[:, :, i], np.float32(np.nan)))
            same(stored[name][:], np.where(there, block[:, :, i], np.float32(-999)))
        same(stored["n_parts"][:], first.counts.numpy().astype(np.int32))
        assert json.loads(stored["metadata"][()])["columns"]["part_pt"]["padding"] == -999
    assert found["kind"].dtype == np.int32
    assert set(found["kind"][~there]) == {-999}
    assert about["columns"]["part_pt"] == {
        "from": "input parts 0", "type": "float32", "unit": "GeV", "collection": "parts", "padding": "nan"
    }  # fmt: skip
    assert about["collections"] == {"parts": {"count": "n_parts", "limit": 4}}
    assert about["classes"] == ["background", "signal"]
    assert about["rows"]["read"] == ROWS
    assert about["rows"]["kept"] == len(there) == about["rows"]["cutflow"]["jet_pt > 10"]


def test_jagged_files_have_one_counter(file: str, tmp_path: Path) -> None:
    plan = make_plan(ANALYSIS)
    made = export_events(plan, file, tmp_path / "e.root")
    with uproot.open(made.path) as root:
        tree = root["events"]
        assert set(tree.keys()) == {column.name for column in made.columns}
        assert tree["part_pt"].typename == "float[]"
        assert tree["n_parts"].array().tolist() == ak.num(tree["part_d0"].array()).tolist()
        assert json.loads(str(root["metadata"]))["analysis"] == "analysis"
    made = export_events(plan, file, tmp_path / "e.parquet")
    assert b"collidekit_events" in pq.read_schema(made.path).metadata


def test_rows_with_nan_are_dropped_and_counted(file: str, tmp_path: Path) -> None:
    plan, given = make_plan(ANALYSIS), columns()
    made = export_events(plan, file, tmp_path / "e.npz", drop_nan=True)
    found = np.load(made.path)
    chosen = given["jet_pt"] > 10
    order = ak.argsort(given["part_pt"], ascending=False, stable=True)
    kept = given["part_d0"][order][given["part_pt"][order] > 1][:, :4]
    no_d0 = ak.to_numpy(ak.any(np.isnan(kept), axis=1)) & chosen
    no_mass = np.isnan(given["true_mass"]) & chosen
    assert no_d0.sum() > 3
    assert no_mass.sum() > 3
    of_d0 = dict.fromkeys(("part_d0", "parts_py", "parts_coordinate_0"), no_d0.sum())  # the same number three times
    assert made.counts.not_finite == {**of_d0, "m": no_mass.sum()}
    assert made.counts.dropped == (no_d0 | no_mass).sum()
    same(found["entry"], np.flatnonzero(chosen & ~no_d0 & ~no_mass))
    assert np.isfinite(found["m"]).all()
    assert f"{made.counts.dropped} rows with NaN or infinity were dropped" in made.notes[0]
    assert (
        "part_d0" in export_events(plan, file, tmp_path / "all.npz").notes[0]
    )  # else they become the default, which is said
    assert np.isnan(np.load(tmp_path / "all.npz")["m"]).sum() == no_mass.sum()


def test_the_first_rows(file: str, tmp_path: Path) -> None:
    plan = make_plan(ANALYSIS)
    export_events(plan, file, tmp_path / "all.npz", drop_nan=True)
    made = export_events(plan, file, tmp_path / "some.npz", drop_nan=True, max_rows=20)
    every, some = np.load(tmp_path / "all.npz"), np.load(made.path)
    assert made.counts.kept == 20
    assert made.counts.dropped < 20
    for column in made.columns:
        same(some[column.name], every[column.name][:20])


def test_several_files_in_small_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size of the pieces changes nothing."""
    files = [str(write_parquet(tmp_path / f"{i}.parquet", columns(90, seed=i))) for i in range(2)]
    plan = make_plan(ANALYSIS)
    export_events(plan, files, tmp_path / "one.npz")
    monkeypatch.setattr("collidekit.dataset.export.read.CHUNK", 13)
    monkeypatch.setattr("collidekit.dataset.export.table.BLOCK", 20)
    for suffix in ("npz", "root", "h5"):
        export_events(plan, files, tmp_path / f"many.{suffix}")
    one, many = np.load(tmp_path / "one.npz"), np.load(tmp_path / "many.npz")
    for name in one.files:
        same(many[name], one[name])
    assert set(one["file"]) == {0, 1}
    with uproot.open(tmp_path / "many.root") as root, h5py.File(tmp_path / "many.h5") as stored:
        same(ak.to_numpy(ak.flatten(root["events"]["part_pt"].array())), one["part_pt"][one["part_pt"] > 0])
        same(stored["part_pt"][:], one["part_pt"])


WITHOUT_EVENT = ANALYSIS.replace("event: [event]\n", "").replace("selection: jet_pt > 10", "selection: jet_pt >= 10")


@pytest.mark.parametrize("text", [ANALYSIS, WITHOUT_EVENT])
@pytest.mark.parametrize("rule", [Split(0.7), Folds(4, 1), Folds(2, 0, "remainder", 0.6), "folds", "remainders"])
def test_the_split_is_that_of_a_training(tmp_path: Path, text: str, rule: Any) -> None:
    """Also where many rows are equal, which are divided by file and entry."""
    if text == WITHOUT_EVENT and (rule == "remainders" or getattr(rule, "by_number", False)):
        pytest.skip("remainders are those of event numbers")
    given = columns(400)
    same_inputs = np.arange(400) % 2 == 0
    for name in ("jet_pt", "jet_mass"):
        given[name][same_inputs] = 33
    given["part_pt"], given["part_d0"] = (
        given[name][np.where(same_inputs, 0, np.arange(400))] for name in ("part_pt", "part_d0")
    )
    given["true_index"][same_inputs] = -1
    dataset = make_dataset(tmp_path, text, given)
    folds = {"folds": Folds(3, 0), "remainders": Folds(3, 0, "remainder")}.get(rule) if isinstance(rule, str) else None
    split = {"split": rule} if folds is None else {"folds": folds}
    for limit in (None, 150):
        made = export_events(
            make_plan(text), str(tmp_path / "rows.parquet"), tmp_path / "e.npz", max_rows=limit, **split
        )
        found = np.load(made.path)
        if folds is not None:
            for i in range(3):
                rows = concatenate(list(Loader(dataset, 100, Folds(3, i, folds.rule), "test")))
                entries = found["entry"][found["fold"] == i]
                assert set(entries) == set(rows.source[:, 1].tolist()) & set(found["entry"])
            assert sum(made.parts.values()) == made.counts.kept
            continue
        for number, part in enumerate(("training", "validation", "test")):
            if part not in rule.parts:
                continue
            rows = concatenate(list(Loader(dataset, 100, rule, part)))
            entries = found["entry"][found["split"] == number]
            assert set(entries) == set(rows.source[:, 1].tolist()) & set(found["entry"])
            assert made.parts[part] == len(entries) > 10


def test_rows_inside_of_events(tmp_path: Path) -> None:
    counts = np.array([2, 0, 3])
    given = {"Jet_pt": ak.unflatten(np.arange(5, dtype=np.float32), counts), "event": np.arange(3)}
    file = write_parquet(tmp_path / "rows.parquet", given)
    text = "rows: Jet\nclasses: {a: Jet_pt > 2, b: Jet_pt <= 2}\ninputs: {jet: {features: [Jet_pt]}}\nevent: [event]\n"
    found = np.load(export_events(make_plan(text), str(file), tmp_path / "e.npz").path)
    assert found["Jet_pt"].tolist() == [0, 1, 2, 3, 4]
    assert found["entry"].tolist() == [0, 0, 2, 2, 2]
    assert found["label"].tolist() == [1, 1, 1, 0, 0]


def test_padding_that_is_a_value_is_said(file: str, tmp_path: Path) -> None:
    made = export_events(make_plan(ANALYSIS), file, tmp_path / "e.npz", padding=-1)
    number = int((rows_of(make_plan(ANALYSIS), file).inputs["parts"].values[:, 2] == -1).sum())  # type: ignore[union-attr]
    assert number > 10
    assert any(f"part_d0 {number}" in note and "equal the padding" in note for note in made.notes)


def refused(file: str, path: Path, text: str = ANALYSIS, **options: Any) -> str:
    with pytest.raises(CollidekitError) as error:
        export_events(make_plan(text), file, path, **options)
    return str(error.value)


def test_what_is_refused(file: str, tmp_path: Path) -> None:
    assert "events are written as .npz, .root" in refused(file, tmp_path / "e.csv")
    assert "is a folder" in refused(file, (tmp_path / "folder.npz", os.mkdir(tmp_path / "folder.npz"))[0])
    assert "nothing is padded" in refused(file, tmp_path / "e.root", padding=-1.0)
    assert "not a number in single precision" in refused(file, tmp_path / "e.npz", padding=float("inf"))
    assert "--max-rows: 0" in refused(file, tmp_path / "e.npz", max_rows=0)
    assert "no row is left to write (all rows: 300; jet_pt > 1000: 0" in refused(
        file, tmp_path / "e.npz", ANALYSIS.replace("jet_pt > 10", "jet_pt > 1000")
    )
    assert "is read; give --out another name" in refused(file, Path(file))
    constant = ANALYSIS.replace("event: [event]", "variables: {one: event * 0}\nevent: [one]")
    assert "same in every row" in refused(file, tmp_path / "e.npz", constant, split=Split(0.5))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.npz"]  # nothing half-written


def test_an_interrupted_export_leaves_nothing(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "e.npz").write_text("earlier")

    def stop(*_: Any) -> Exported:
        raise KeyboardInterrupt

    monkeypatch.setattr("collidekit.dataset.export.table.Table.padded", stop)
    with pytest.raises(KeyboardInterrupt):
        export_events(make_plan(ANALYSIS), file, tmp_path / "e.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["e.npz"]
    assert (tmp_path / "e.npz").read_text() == "earlier"
