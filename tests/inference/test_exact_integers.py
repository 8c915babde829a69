"""Integers keep every digit from the file, through shards, to the predictions in Parquet and ROOT."""

import json
from pathlib import Path

import awkward as ak
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot
import yaml

from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.inference.predict import predict_dataset, predict_files
from collidekit.training.checkpoint import Checkpoint, load_checkpoint
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training

ROWS = 300
LARGE = {
    "small": np.arange(ROWS) + 16_777_217,
    "number": np.arange(ROWS) + 2**53 + 1,
    "signed": -(np.arange(ROWS) + 2**62 + 1),
    "unsigned": (np.arange(ROWS) + 5).astype(np.uint64) + np.uint64(2**63),
    "mixed": np.where(np.arange(ROWS) < 200, 7, np.uint64(2**64 - 1)).astype(np.uint64),
}
ANALYSIS = """
source: {tree: tree}
classes: {left: label == 0, right: label == 1}
inputs: {point: {features: [x, y]}}
spectators: [small, number, signed, unsigned, x]
event: [number, unsigned, mixed]
discriminators: {RvsL: {signal: right, background: left}}
"""
PLAN = Plan(Analysis.model_validate(yaml.safe_load(ANALYSIS)))
FORMATS = [".root", ".parquet", ".jsonl", ".csv", ".h5"]


def columns() -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    label = np.arange(ROWS) % 2
    return {"label": label, "x": random.normal(label, 1), "y": random.normal(0, 1, ROWS), **LARGE}


def write(path: Path, values: dict[str, np.ndarray]) -> Path:
    if path.suffix == ".root":
        with uproot.recreate(path) as file:
            file.mktree("tree", {name: column.dtype for name, column in values.items()})
            file["tree"].extend(values)
    elif path.suffix == ".parquet":
        pq.write_table(pa.table(values), path)
    elif path.suffix == ".h5":
        table = np.rec.fromarrays(list(values.values()), names=list(values))
        with h5py.File(path, "w") as file:
            file["tree"] = table
    else:
        rows = [dict(zip(values, row, strict=True)) for row in zip(*(c.tolist() for c in values.values()), strict=True)]
        if path.suffix == ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            lines = [",".join(values), *(",".join(repr(value) for value in row.values()) for row in rows)]
            path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("exact")
    construct(PLAN, [str(write(folder / "in.parquet", columns()))], folder / "dataset", progress=False)
    config = TrainingConfig(model_name="mlp", epochs=1, batch_size=64)
    return load_checkpoint(Training(config, Dataset(folder / "dataset"), folder / "run", accelerator="cpu").run())


@pytest.mark.parametrize("output", [".parquet", ".root"])
@pytest.mark.parametrize("suffix", FORMATS)
def test_integers_of_a_file_are_those_of_its_predictions(
    checkpoint: Checkpoint, tmp_path: Path, suffix: str, output: str
) -> None:
    values = columns()
    path = str(write(tmp_path / f"in{suffix}", values))
    made = predict_files(checkpoint, PLAN, [path], allow_training_rows=True)[0].write(tmp_path / f"out{output}")
    found = _read(made)
    for name in ("small", "number", "signed", "unsigned", "mixed"):
        assert found[name].dtype.kind in "iu"
        assert found[name].tolist() == values[name].tolist(), name
    assert found["spectator_number"].tolist() == values["number"].tolist()
    assert found["x"].tolist() == values["x"].tolist()


def _read(path: Path) -> dict[str, np.ndarray]:
    if path.suffix == ".root":
        with uproot.open(path) as file:
            return dict(file["predictions"].arrays(library="np"))
    table = pq.read_table(path)
    return {name: table[name].to_numpy() for name in table.column_names}


@pytest.mark.parametrize("suffix", [".root", ".jsonl"])
def test_shards_keep_them_too(checkpoint: Checkpoint, tmp_path: Path, suffix: str) -> None:
    path = str(write(tmp_path / f"in{suffix}", columns()))
    construct(PLAN, [path], tmp_path / "dataset", chunk_size=70, progress=False)
    predictions = predict_dataset(checkpoint, Dataset(tmp_path / "dataset"), allow_training_rows=True)
    for name in ("small", "number", "signed", "unsigned"):
        assert predictions.spectators[name].tolist() == LARGE[name].tolist()
    assert predictions.event["mixed"].tolist() == LARGE["mixed"].tolist()


def test_kinds_that_differ_from_file_to_file(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """The number is an integer in one file and floating point in the other: exact up to 2^53, else an error."""
    values = columns()
    first = str(write(tmp_path / "a.parquet", values))
    with_gaps = {**values, "small": np.where(np.arange(ROWS) == 3, np.nan, LARGE["small"])}
    second = str(write(tmp_path / "b.parquet", with_gaps))
    found = predict_files(checkpoint, PLAN, [first, second], allow_training_rows=True)[0].spectators["small"]
    np.testing.assert_array_equal(found, np.concatenate([values["small"], with_gaps["small"]]))
    third = str(write(tmp_path / "c.parquet", {**values, "signed": np.full(ROWS, np.nan)}))
    with pytest.raises(CollidekitError, match=r"signed: integers such as -46116860184273\d+ are above 2\^53"):
        predict_files(checkpoint, PLAN, [first, third], allow_training_rows=True)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.where(np.arange(ROWS) == 7, np.inf, np.arange(ROWS)), "row 7: the event number 'number' is inf"),
        (np.where(np.arange(ROWS) == 7, 1e30, np.arange(ROWS)), r"row 7: the event number 'number' is 1e\+30"),
        (np.where(np.arange(ROWS) == 7, np.nan, np.arange(ROWS)), "row 7: the event number 'number' is nan"),
        (np.arange(ROWS) / 2, "row 1: the event number 'number' is 0.5"),
        (np.arange(ROWS) > 9, "'number' is a condition; an event number is needed"),
    ],
)
def test_what_is_no_event_number(tmp_path: Path, values: np.ndarray, said: str) -> None:
    path = str(write(tmp_path / "in.parquet", {**columns(), "number": values}))
    with pytest.raises(CollidekitError, match=said):
        construct(PLAN, [path], tmp_path / "dataset", progress=False)


def test_json_lines_mix_large_integers_and_fractions(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", columns())
    lines = path.read_text().splitlines()
    lines[5] = lines[5].replace(str(2**53 + 6), "0.5")
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(CollidekitError, match="number is 9007199254740993 in one line but not an integer in another"):
        construct(PLAN, [str(path)], tmp_path / "dataset", progress=False)


def test_members_and_extremes_of_large_integers() -> None:
    from collidekit.analysis.expressions import Expression

    scope = {"n": ak.Array([[2**60 + 1, 2**60 + 3], [2**60 + 7]]), "e": ak.Array([[2**60 + 1], []])}
    assert ak.to_list(Expression("first(n)").evaluate(scope)) == [2**60 + 1, 2**60 + 7]
    assert ak.to_list(Expression("max(n)").evaluate(scope)) == [2**60 + 3, 2**60 + 7]
    for text in ("first(e)", "max(e)"):
        with pytest.raises(CollidekitError, match=r"beside integers above 2\^53"):
            Expression(text).evaluate(scope)
