"""One prediction per row, in the order of the input, for any division into files, chunks, shards and batches."""

import shutil
import subprocess
import sys
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch
import toys

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.inference import file_rows as module
from collidekit.inference.assembly import process_column
from collidekit.inference.file_rows import output_suffix
from collidekit.inference.predict import predict_dataset, predict_files
from collidekit.inference.predictions import Predictions
from collidekit.training.checkpoint import Checkpoint


def assert_same(a: Predictions, b: Predictions) -> None:
    np.testing.assert_allclose(a.probabilities, b.probabilities, rtol=0, atol=1e-6)
    for name in ("labels", "weights"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for name in ("spectators", "event"):
        assert getattr(a, name).keys() == getattr(b, name).keys()
        for key, values in getattr(a, name).items():
            np.testing.assert_array_equal(values, getattr(b, name)[key])


@pytest.fixture(scope="module")
def reference(checkpoint: Checkpoint, files: list[str]) -> Predictions:
    return predict_files(checkpoint, Plan(checkpoint.analysis), files)[0]


def test_every_row_once_in_input_order(reference: Predictions, table: ak.Array) -> None:
    assert reference.event["event"].tolist() == list(range(1000, 1150))
    assert reference.event["file"].tolist() == [0] * 70 + [1] + [2] * 79
    assert reference.event["row"].tolist() == [*range(70), 0, *range(79)]
    np.testing.assert_array_equal(reference.spectators["jet_mass"], ak.to_numpy(table.jet_mass))
    np.testing.assert_array_equal(reference.weights, ak.to_numpy(table.weight))


def test_rows_of_no_class_are_kept(reference: Predictions, table: ak.Array) -> None:
    assert reference.labels.tolist() == [-1 if label == 7 else label for label in table.label]


def test_probabilities_sum_to_one_and_know_the_classes(reference: Predictions) -> None:
    np.testing.assert_allclose(reference.probabilities.sum(axis=1), 1, atol=1e-6)
    score, truth, weights = reference.task("SvsB")
    assert len(score) == len(truth) == len(weights) == 135
    assert score[truth].mean() > score[~truth].mean() + 0.05


@pytest.mark.parametrize(("batch_size", "chunk"), [(1, 1000), (7, 10), (1000, 5), (64, 33)])
def test_batches_and_chunks_make_no_difference(
    checkpoint: Checkpoint,
    files: list[str],
    reference: Predictions,
    monkeypatch: pytest.MonkeyPatch,
    batch_size: int,
    chunk: int,
) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    assert_same(predict_files(checkpoint, Plan(checkpoint.analysis), files, batch_size)[0], reference)


def test_one_file_is_like_three(
    checkpoint: Checkpoint, table: ak.Array, reference: Predictions, tmp_path: Path
) -> None:
    path = toys.write_table(tmp_path / "all.parquet", table)
    found = predict_files(checkpoint, Plan(checkpoint.analysis), str(path))[0]
    np.testing.assert_allclose(found.probabilities, reference.probabilities, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("chunk_size", "batch_size", "threads"), [(20, 16, 1), (1000, 9, 0)])
def test_a_dataset_is_like_its_files(
    checkpoint: Checkpoint,
    files: list[str],
    reference: Predictions,
    tmp_path: Path,
    chunk_size: int,
    batch_size: int,
    threads: int,
) -> None:
    manifest = construct(Plan(checkpoint.analysis), files, tmp_path, chunk_size, progress=False)
    found = predict_dataset(checkpoint, Dataset(manifest), batch_size, threads)
    known = reference.labels >= 0  # a dataset holds only rows of a class
    assert found.event["event"].tolist() == reference.event["event"][known].tolist()
    np.testing.assert_allclose(found.probabilities, reference.probabilities[known], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found.labels, reference.labels[known])


def test_the_process_of_each_row_is_a_column(checkpoint: Checkpoint, files: list[str], tmp_path: Path) -> None:
    analysis = parse_analysis(toys.TOY + "processes: {some: {files: 'no_file_*'}, all: {files: '*'}}\n")[0]
    found = predict_files(checkpoint, Plan(analysis), files)[0]
    assert set(found.event["process"].tolist()) == {1}
    read = Predictions.read(found.write(tmp_path / "p.parquet"))
    np.testing.assert_array_equal(read.columns()["process"], found.event["process"])
    assert "process" not in predict_files(checkpoint, Plan(checkpoint.analysis), files)[0].event
    taken = analysis.model_copy(update={"event": ["process"]})
    assert process_column(taken) == "process_number"


def test_files_without_the_truth(
    checkpoint: Checkpoint, table: ak.Array, reference: Predictions, tmp_path: Path
) -> None:
    text = toys.TOY.replace("spectators: [jet_mass, label, weight]", "spectators: [jet_mass]")
    analysis = toys.write_analysis(tmp_path / "toy.yaml", text)
    path = toys.write_table(
        tmp_path / "data.root", table[[name for name in table.fields if name not in ("label", "weight")]]
    )
    found = predict_files(checkpoint, Plan(analysis), [str(path)])[0]
    np.testing.assert_allclose(found.probabilities, reference.probabilities, rtol=0, atol=1e-6)
    assert set(found.labels.tolist()) == {-1}
    assert set(found.weights.tolist()) == {1.0}
    assert "SvsB" in found.columns()


def test_prediction_leaves_the_random_numbers_alone(checkpoint: Checkpoint, files: list[str]) -> None:
    state = torch.get_rng_state()
    predict_files(checkpoint, Plan(checkpoint.analysis), files)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_selection_that_nothing_passes(checkpoint: Checkpoint, files: list[str], tmp_path: Path) -> None:
    analysis = toys.write_analysis(tmp_path / "toy.yaml", toys.TOY + "selection: jet_pt > 1e6\n")
    with pytest.raises(CollidekitError, match="no row passes the selection, so there is nothing to predict"):
        predict_files(checkpoint, Plan(analysis), files)


def test_a_selection_leaves_the_numbers_of_the_rows_as_they_are(
    checkpoint: Checkpoint, files: list[str], table: ak.Array, reference: Predictions, tmp_path: Path
) -> None:
    analysis = toys.write_analysis(tmp_path / "toy.yaml", toys.TOY + "selection: jet_pt > 50\n")
    found = predict_files(checkpoint, Plan(analysis), files)[0]
    passing = ak.to_numpy(table.jet_pt) > 50
    assert 20 < passing.sum() < 130
    for name, values in found.event.items():
        np.testing.assert_array_equal(values, reference.event[name][passing])
    np.testing.assert_allclose(found.probabilities, reference.probabilities[passing], rtol=0, atol=1e-6)


def test_a_bad_file_is_named_or_skipped_and_counted(checkpoint: Checkpoint, files: list[str], tmp_path: Path) -> None:
    bad = tmp_path / "bad.root"
    bad.write_bytes(Path(files[2]).read_bytes()[:300])
    plan = Plan(checkpoint.analysis)
    with pytest.raises(CollidekitError, match=r"bad.root: "):
        predict_files(checkpoint, plan, [files[0], str(bad), files[2]])
    found, skipped = predict_files(checkpoint, plan, [files[0], str(bad), files[2]], skip_bad_files=True)
    assert len(found) == 70 + 79
    assert set(found.event["file"].tolist()) == {0, 2}
    assert len(skipped) == 1
    assert "bad.root" in skipped[0]


def test_a_file_of_another_kind_is_skipped_and_a_bad_row_is_not(
    checkpoint: Checkpoint, files: list[str], table: ak.Array, tmp_path: Path
) -> None:
    plan = Plan(checkpoint.analysis)
    less = str(toys.write_table(tmp_path / "less.root", table[[name for name in table.fields if name != "part_d0"]]))
    _, skipped = predict_files(checkpoint, plan, [files[0], less], skip_bad_files=True)
    assert len(skipped) == 1
    assert skipped[0].startswith(f"{checkpoint.analysis.name}: 'part_d0': there is no branch")
    uneven = ak.with_field(table, table.part_d0[:, :1], "part_d0")
    with pytest.raises(CollidekitError, match="lists of different lengths"):
        predict_files(
            checkpoint, plan, [files[0], str(toys.write_table(tmp_path / "uneven.root", uneven))], skip_bad_files=True
        )


def test_a_missing_branch_is_named(checkpoint: Checkpoint, table: ak.Array, tmp_path: Path) -> None:
    path = toys.write_table(tmp_path / "less.root", table[[name for name in table.fields if name != "part_d0"]])
    with pytest.raises(CollidekitError, match="part_d0"):
        predict_files(checkpoint, Plan(checkpoint.analysis), [str(path)])


def test_output_names_are_checked_first() -> None:
    output_suffix(Path("a.root"))
    with pytest.raises(CollidekitError, match=r"a.csv: predictions are written as .parquet or .root, not .csv"):
        output_suffix(Path("a.csv"))


PEAK = """
import resource, sys
import toys
from pathlib import Path
from collidekit.analysis.scope import Plan
from collidekit.inference import predict
from collidekit.models import Tagger, build_network
from collidekit.training.checkpoint import Checkpoint

analysis = toys.write_analysis(Path(sys.argv[1]), toys.TOY)
tagger = Tagger(analysis, build_network("pfn", analysis.inputs, 2, toys.SMALL))
predict.CHUNK = 500
checkpoint = Checkpoint(tagger, analysis, None, 1, {})
peaks = []
for files in (sys.argv[2:4], sys.argv[2:4], sys.argv[2:]):
    rows = len(predict.predict_files(checkpoint, Plan(analysis), files)[0])
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(rows, *peaks)
"""


def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    """Ten times the rows, 40,000: all inputs at once would be 40,000 x 48 x 6 x 4 B = 46 MB, and more on the way."""
    table = toys.toy_table(2000)
    columns = {
        name: ak.concatenate([table[name]] * 8, axis=1) if table[name].ndim > 1 else table[name]
        for name in table.fields
    }
    path = toys.write_table(tmp_path / "rows.parquet", ak.zip(columns, depth_limit=1))
    paths = [shutil.copy(path, tmp_path / f"rows_{i}.parquet") for i in range(20)]
    helpers = Path(toys.__file__).parent
    run = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path / "toy.yaml"), *map(str, paths)],
        check=False, capture_output=True, text=True, timeout=120,
        env={"PYTHONPATH": str(helpers), "OMP_NUM_THREADS": "1", "PATH": ""},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    rows, _, small, large = map(int, run.stdout.split())
    assert rows == 40_000
    assert large - small < 25_000  # kB; the predictions themselves take 3 MB
