"""Rows of a training are recognised by their inputs in files that were skimmed, merged, shuffled or converted."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import toys

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.batch import Batch
from collidekit.dataset.learned import Known, LearnedFrom, known, known_by_each
from collidekit.dataset.loader import Dataset
from collidekit.dataset.not_finite import NotFinite
from collidekit.dataset.parts import Folds, RowSplit, Split
from collidekit.dataset.row_sketch import BITS, PARTS, RowSketch, SketchBuilder, sketch_of
from collidekit.inference.file_rows import rows_of_files
from collidekit.inference.seen import uses

ROWS = 400
NO_EVENT = toys.TOY.replace("event: [event]\n", "")
STATES = {"training": Known.SAME_INPUTS, "validation": Known.VALIDATION, "test": Known.TEST}


def rows_of(path: Path, text: str = toys.TOY) -> Batch:
    """The rows of a file as they come in a prediction."""
    (rows,) = rows_of_files(Plan(*parse_analysis(text)), [str(path)], False, [], NotFinite())
    return Batch.of(rows)


def states(learned: LearnedFrom, path: Path, text: str = toys.TOY) -> np.ndarray:
    return known([learned], rows_of(path, text), parse_analysis(text)[0], lambda number: ())


def contents(batch: Batch) -> list[bytes]:
    """All numbers that a network sees of each row."""
    found = []
    offsets = batch.inputs["constituents"].offsets.tolist()
    for i, (first, last) in enumerate(pairwise(offsets)):
        members = batch.inputs["constituents"].data[first:last].numpy()
        found.append((members + 0).tobytes() + b"|" + (batch.inputs["jet"][i].numpy() + 0).tobytes())
    return found


def parts_by_content(dataset: Dataset, split: RowSplit) -> dict[bytes, str]:
    """The part of each row of a training, by all of its numbers: without any hash of them."""
    batch = toys.all_rows(dataset)
    masks = {part: split.rows(batch.keys.numpy(), part, batch.event) for part in PARTS}
    return {row: next(p for p in PARTS if masks[p][i]) for i, row in enumerate(contents(batch))}


def expected(dataset: Dataset, split: RowSplit, path: Path, text: str = toys.TOY) -> np.ndarray:
    parts = parts_by_content(dataset, split)
    rows = contents(rows_of(path, text))
    return np.array([STATES[parts[row]] if row in parts else Known.NOT for row in rows], dtype=np.int8)


def as_float64(table: ak.Array) -> ak.Array:
    return ak.zip(
        {n: ak.values_astype(table[n], np.float64) if n not in ("label", "event") else table[n] for n in table.fields},
        depth_limit=1,
    )


SHUFFLED = np.random.default_rng(3).permutation(2 * ROWS)
FILES: dict[str, Callable[[ak.Array, ak.Array], ak.Array]] = {
    "skimmed.root": lambda training, other: training[training.jet_pt > 50],
    "converted.parquet": lambda training, other: training,
    "merged.root": lambda training, other: ak.concatenate([other, training[:100]]),
    "shuffled.parquet": lambda training, other: ak.concatenate([training, other])[SHUFFLED],
    "independent.root": lambda training, other: other,
}


@pytest.fixture(scope="module")
def tables() -> tuple[ak.Array, ak.Array]:
    return toys.toy_table(ROWS), toys.toy_table(ROWS, seed=2)


@pytest.fixture(scope="module")
def files(tables: tuple[ak.Array, ak.Array], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name, make in FILES.items():
        toys.write_table(folder / name, make(*tables))
    return folder


@pytest.fixture(scope="module", params=[toys.TOY, NO_EVENT], ids=["event", "inputs"])
def trained_on(request: Any, tables: tuple[ak.Array, ak.Array], tmp_path_factory: Any) -> tuple[str, Dataset]:
    return request.param, toys.make_dataset(tmp_path_factory.mktemp("training"), request.param, tables[0])


@pytest.mark.parametrize("split", [Split(0.7), Folds(4, 1), Folds(2, 0)], ids=["share", "folds", "2 folds"])
@pytest.mark.parametrize("name", FILES)
def test_rows_are_recognised_in_other_files(
    trained_on: tuple[str, Dataset], files: Path, split: RowSplit, name: str
) -> None:
    text, dataset = trained_on
    learned = LearnedFrom.read(LearnedFrom.of(dataset, split).as_dict())
    assert learned == LearnedFrom.of(dataset, split)
    found = states(learned, files / name, text)
    np.testing.assert_array_equal(found, expected(dataset, split, files / name, text))
    assert (found != Known.NOT).any() == (name != "independent.root")


@pytest.mark.parametrize("split", [Split(0.7), Folds(4, 1)], ids=["share", "folds"])
def test_of_more_rows_a_fraction_is_known_the_same_in_every_file(
    trained_on: tuple[str, Dataset], files: Path, split: RowSplit
) -> None:
    text, dataset = trained_on
    sketch = sketch_of(dataset, split, size=100)
    assert len(sketch.hashes) == 100
    assert abs(sketch.fraction - 100 / ROWS) < 4 * np.sqrt(100) / ROWS
    learned = LearnedFrom.of(dataset, split, size=100)
    truth, found = (f(files / "shuffled.parquet") for f in (
        lambda path: expected(dataset, split, path, text), lambda path: states(learned, path, text)))  # fmt: skip
    looked_up, _ = sketch.find(rows_of(files / "shuffled.parquet", NO_EVENT).keys.numpy())
    np.testing.assert_array_equal(found, np.where(looked_up, truth, Known.NOT))
    assert (found != Known.NOT).sum() == 100


def test_columns_in_double_precision_are_the_same(tables: tuple[ak.Array, ak.Array], tmp_path: Path) -> None:
    """Also what an analysis computes from them."""
    file = toys.write_table(tmp_path / "double.parquet", as_float64(tables[0]))
    learned = LearnedFrom.of(toys.make_dataset(tmp_path / "a", toys.TOY, tables[0]), Split())
    assert (states(learned, file) >= Known.VALIDATION).all()


def test_another_analysis_with_the_same_inputs(trained_on: tuple[str, Dataset], files: Path) -> None:
    _, dataset = trained_on
    other = NO_EVENT.replace("spectators: [jet_mass, label, weight]\n", "selection: jet_pt > 40\n")
    found = states(LearnedFrom.of(dataset, Split(0.6)), files / "converted.parquet", other)
    np.testing.assert_array_equal(found, expected(dataset, Split(0.6), files / "converted.parquet", other))
    assert 0 < len(found) < ROWS


@pytest.mark.parametrize("size", [ROWS, 100], ids=["all rows", "a fraction"])
def test_folds_leave_each_row_to_the_network_that_did_not_learn_from_it(
    trained_on: tuple[str, Dataset], files: Path, size: int
) -> None:
    """Where only a fraction is looked up, keys say the folds of the others."""
    text, dataset = trained_on
    splits = [Folds(4, this) for this in range(4)]
    models = [[LearnedFrom.of(dataset, split, size)] for split in splits]
    path = files / "skimmed.root"
    found = known_by_each(models, rows_of(path, text), parse_analysis(text)[0], lambda number: ())
    np.testing.assert_array_equal(uses(found), [expected(dataset, s, path, text) == Known.TEST for s in splits])
    independent = known_by_each(
        models, rows_of(files / "independent.root", text), parse_analysis(text)[0], lambda number: ()
    )
    assert (independent == Known.NOT).all()


def test_folds_without_keys_of_all_rows_hold_no_row_out(trained_on: tuple[str, Dataset], files: Path) -> None:
    """With another analysis keys are unknown: rows that were looked up are to be refused."""
    text, dataset = trained_on
    models = [[LearnedFrom.of(dataset, Folds(4, this), 100)] for this in range(4)]
    other = text.replace("weight: weight\n", "")
    rows = rows_of(files / "converted.parquet", other)
    found = known_by_each(models, rows, parse_analysis(other)[0], lambda number: ())
    assert not (found == Known.TEST).any()
    assert ((found >= Known.VALIDATION).sum(axis=1) == 100).all()


def test_jets_of_events_are_recognised(tmp_path: Path) -> None:
    """Their keys are file and entry, which another file does not have."""
    text = """
rows: Jet
classes: {light: Jet_label == 0, b: Jet_label == 1}
inputs: {jet: {features: [Jet_x, Jet_y]}}
"""
    random = np.random.default_rng(1)
    counts = random.integers(1, 4, 300)
    jets = {"Jet_label": np.arange(counts.sum()) % 2, "Jet_x": random.normal(size=counts.sum())}
    jets["Jet_y"] = jets["Jet_x"] ** 2
    table = ak.zip({name: ak.unflatten(values, counts) for name, values in jets.items()}, depth_limit=1)
    dataset = toys.make_dataset(tmp_path / "a", text, table)
    path = toys.write_table(tmp_path / "part.root", table[50:120])
    batch, split = toys.all_rows(dataset), Folds(3, 1)
    found = states(LearnedFrom.of(dataset, split), path, text)
    inside = (batch.source[:, 1] >= 50) & (batch.source[:, 1] < 120)
    for part, state in STATES.items():
        truth = split.rows(batch.keys.numpy()[inside], part)
        np.testing.assert_array_equal(found == state, truth, err_msg=part)


def test_rows_without_constituents_are_not_looked_up(tmp_path: Path) -> None:
    text = """
classes: {a: label == 0, b: label == 1}
inputs: {tracks: {limit: 5, features: [d0]}}
"""
    random = np.random.default_rng(3)
    counts = np.where(np.arange(300) % 50 == 0, 0, 3)
    columns = {"label": np.arange(300) % 2, "d0": ak.unflatten(random.normal(size=counts.sum()), counts)}
    dataset = toys.make_dataset(tmp_path / "a", text, ak.zip(columns, depth_limit=1))
    path = toys.write_table(tmp_path / "empty.parquet", ak.zip(columns, depth_limit=1)[counts == 0])
    assert (states(LearnedFrom.of(dataset, Split()), path, text) == Known.NOT).all()


def builder_of(keys: np.ndarray, size: int, step: int) -> RowSketch:
    builder = SketchBuilder(size)
    for start in range(0, len(keys), step):
        part = keys[start : start + step]
        builder.add(part, (part % 3).astype(np.uint8))
    return builder.sketch()


def test_a_sketch_does_not_depend_on_the_order_of_the_rows() -> None:
    random = np.random.default_rng(5)
    keys = random.integers(-(2**63), 2**63, 600_000)
    one, other = builder_of(keys, 1000, 50_000), builder_of(random.permutation(keys), 1000, 600_000)
    assert one == other
    assert len(one.hashes) == 1000
    looked_up, parts = one.find(keys)
    assert looked_up.sum() == 1000, "all that lie below the limit are there"
    np.testing.assert_array_equal(parts[looked_up], keys[looked_up] % 3)


def test_independent_rows_are_not_found() -> None:
    """The expected number is 1e6 * 1e5 / 2^48 = 4e-4."""
    random = np.random.default_rng(6)
    sketch = builder_of(random.integers(-(2**63), 2**63, 100_000), 100_000, 100_000)
    assert sketch.limit == 2**BITS
    looked_up, parts = sketch.find(random.integers(-(2**63), 2**63, 1_000_000))
    assert looked_up.all()
    assert (parts == -1).all()
    assert len(sketch.as_dict()["content"]) < 600_000


@pytest.mark.parametrize("values", [300, 100_000, 10_000_000])
def test_the_fraction_of_equal_rows_is_what_an_independent_sample_has(values: int) -> None:
    """Inputs of a few integers are equal by chance; 50,000 rows of each sample, of a falling distribution."""
    random = np.random.default_rng(7)
    training, other = (values * random.random((2, 50_000)) ** 2).astype(np.int64)
    sketch = builder_of(training, 100_000, 50_000)
    found = (sketch.find(other)[1] >= 0).mean()
    assert abs(found - sketch.repeated) < 0.15 * sketch.repeated + 2e-4
    assert found < sketch.share_by_chance


def test_damaged_sketches_are_errors() -> None:
    content = builder_of(np.arange(1000), 500, 1000).as_dict()
    assert RowSketch.read(content).as_dict() == content
    text = content["content"]
    for changed in (
        {"bits": 40}, {"rows": 10**9}, {"rows": 499}, {"rows": 501}, {"limit": 0}, {"limit": 10**6}, {"repeated": 2.0},
        {"content": text[:-8]}, {"content": text[:100] + "A" * 8 + text[108:]}, {"content": "no base 64"},
    ):  # fmt: skip
        with pytest.raises(ValueError, match="sketch of its rows"):
            RowSketch.read({**content, **changed})
    with pytest.raises(KeyError):
        RowSketch.read({"bits": BITS})
