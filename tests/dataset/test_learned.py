"""A model recognises the rows that it has learned from, in a copy of the file and nowhere else."""

import shutil
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
from makers import make_dataset, make_plan

from collidekit.analysis.scope import Plan
from collidekit.dataset.construct import construct
from collidekit.dataset.learned import Known, LearnedFrom, known
from collidekit.dataset.loader import Dataset
from collidekit.dataset.parts import Folds, RowSplit, Split
from collidekit.dataset.rows import build_rows, columns_of
from collidekit.errors import CollidekitError
from collidekit.inference.seen import uses
from collidekit.readers import content_of, file_id, open_file

REMAINDERS = Folds(2, 0, "remainder", 0.6)
EVENTS = """
event: [event]
selection: x > -1
classes: {light: label == 0, b: label == 1}
inputs: {ev: {features: [x]}}
"""
INPUTS = EVENTS.replace("event: [event]\n", "")
JETS = """
rows: Jet
selection: Jet_x > -1
classes: {light: Jet_label == 0, b: Jet_label == 1}
inputs: {jet: {features: [Jet_x]}}
"""
EQUAL = """
classes: {light: label == 0, b: label == 1}
inputs: {tracks: {limit: 10, features: [trk_d0]}}
"""


def columns(text: str, rows: int = 1200, seed: int = 1) -> dict[str, object]:
    generator = np.random.default_rng(seed)
    if text == JETS:
        counts = generator.integers(1, 4, rows)
        jets = int(counts.sum())
        values = {"Jet_label": np.arange(jets) % 2, "Jet_x": generator.normal(size=jets)}
        return {name: ak.unflatten(value, counts) for name, value in values.items()}
    if text == EQUAL:  # a third of the rows are without tracks
        counts = np.where(np.arange(rows) % 3 == 0, 0, generator.integers(1, 8, rows))
        values = generator.normal(size=counts.sum()).astype(np.float32)
        return {"label": generator.integers(0, 2, rows), "trk_d0": ak.unflatten(values, counts)}
    return {"label": np.arange(rows) % 2, "x": generator.normal(size=rows), "event": seed * 10_000 + np.arange(rows)}


def dataset_of(folder: Path, text: str, seed: int = 1) -> Dataset:
    folder.mkdir()
    return make_dataset(folder, text, columns(text, seed=seed))


def states(learned: list[LearnedFrom], plan: Plan, path: Path) -> np.ndarray:
    """As the rows of a file come in a prediction: without their truth."""
    with open_file(str(path), plan.analysis.source) as reader:
        chunk = reader.read(columns_of(plan, reader, with_truth=False), 0, reader.rows)
    batch = build_rows(plan, chunk, str(path), 0, 0, keep_all=True).batch
    return known(learned, batch, plan.analysis, lambda number: content_of(file_id(str(path))))


def true_states(dataset: Dataset, split: RowSplit) -> np.ndarray:
    """From the rows that a loader gives."""
    keys, found = dataset.column("key"), np.zeros(len(dataset), dtype=np.int8)
    for part, value in (("training", Known.TRAINING), ("validation", Known.VALIDATION), ("test", Known.TEST)):
        found[split.rows(keys, part, dataset.event_number)] = value  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("text", [EVENTS, INPUTS, JETS, EQUAL], ids=["event", "inputs", "jets", "equal rows"])
@pytest.mark.parametrize(
    "split", [Split(0.7), Folds(4, 1), Folds(2, 1), REMAINDERS], ids=["share", "folds", "2 folds", "remainders"]
)
def test_rows_are_recognised_in_a_renamed_copy(tmp_path: Path, text: str, split: RowSplit) -> None:
    if split == REMAINDERS and text != EVENTS:
        pytest.skip("remainders are those of event numbers")
    dataset = make_dataset(tmp_path, text, columns(text))
    (file,) = dataset.manifest.files
    (tmp_path / "elsewhere").mkdir()
    copy = Path(shutil.copy(file, tmp_path / "elsewhere" / "other_name.parquet"))
    learned = LearnedFrom.read(LearnedFrom.of(dataset, split).as_dict())
    found = states([learned], make_plan(text), copy)
    np.testing.assert_array_equal(found, true_states(dataset, split))
    assert (found == Known.TRAINING).sum() > 100
    assert text != EQUAL or dataset.manifest.summary["equal_rows"]["rows"] == 400


def test_rows_of_other_files_are_not_known(tmp_path: Path) -> None:
    """Also not by the same event number: numbers may begin anew in each sample."""
    learned = LearnedFrom.of(dataset_of(tmp_path / "a", EVENTS), Split())
    other = columns(EVENTS, seed=2)
    other["event"] = columns(EVENTS)["event"]
    (tmp_path / "b").mkdir()
    path = Path(make_dataset(tmp_path / "b", EVENTS, other).manifest.files[0])
    assert (states([learned], make_plan(EVENTS), path) == Known.NOT).all()


def test_the_remainder_of_the_event_number_decides_in_every_file(tmp_path: Path) -> None:
    """A reader that takes a network by the event number does so for any event."""
    dataset = dataset_of(tmp_path / "a", EVENTS)
    learned = [LearnedFrom.of(dataset, Folds(2, this, "remainder")) for this in (0, 1)]
    path = Path(dataset_of(tmp_path / "b", EVENTS, seed=2).manifest.files[0])
    found = [states([one], make_plan(EVENTS), path) for one in learned]
    given = columns(EVENTS, seed=2)
    even = given["event"][given["x"] > -1] % 2 == 0  # type: ignore[operator, index]
    np.testing.assert_array_equal(found[0], np.where(even, Known.TEST, Known.OTHER_FOLD))
    np.testing.assert_array_equal(found[1], np.where(even, Known.OTHER_FOLD, Known.TEST))
    np.testing.assert_array_equal(uses(np.stack(found)), [even, ~even])
    assert uses(found[0][None]).all(), "alone it predicts all"
    with pytest.raises(CollidekitError, match="names no event number"):
        states(learned[:1], make_plan(INPUTS), path)


def test_folds_of_the_first_versions_are_read_and_written_as_before() -> None:
    content = {"analysis": "a", "split": {"folds": 5, "fold": 2}, "files": [], "repeated": []}
    assert LearnedFrom.read(content).split == Folds(5, 2)
    assert LearnedFrom.read(content).as_dict() == content
    with pytest.raises(ValueError, match="the rule of folds 'parity' is not known"):
        LearnedFrom.read({**content, "split": {"folds": 5, "fold": 2, "rule": "parity"}})


def test_with_another_analysis_it_cannot_be_told(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, EVENTS, columns(EVENTS))
    found = states([LearnedFrom.of(dataset, Split())], make_plan(INPUTS), Path(dataset.manifest.files[0]))
    assert (found == Known.MAYBE).all()


def test_what_one_of_several_trainings_learned_from_counts(tmp_path: Path) -> None:
    """As after fine-tuning: a row that is held out now was learned from before."""
    dataset = make_dataset(tmp_path, EVENTS, columns(EVENTS))
    own, before = LearnedFrom.of(dataset, Folds(3, 0)), LearnedFrom.of(dataset, Split(0.5))
    found = states([own, before], make_plan(EVENTS), Path(dataset.manifest.files[0]))
    both = np.maximum(true_states(dataset, Folds(3, 0)), true_states(dataset, Split(0.5)))
    np.testing.assert_array_equal(found, both)


def test_files_of_unused_shards_are_not_known(tmp_path: Path) -> None:
    files = [dataset_of(tmp_path / str(i), EVENTS, i).manifest.files[0] for i in (1, 2)]
    manifest = construct(make_plan(EVENTS), files, tmp_path / "both", chunk_size=500, progress=False)
    learned = LearnedFrom.of(Dataset(manifest, n_files=1), Split())
    assert set(learned.files) == {content_of(file_id(files[0]))}
    assert set(LearnedFrom.of(Dataset(manifest), Split()).files) == {content_of(file_id(file)) for file in files}
