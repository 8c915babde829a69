"""ExportTask: a bundle of a training, or one graph for each fold."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from collidekit.errors import CollidekitError
from collidekit.inference.predictions import Predictions
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.export import ExportTask


def export(**more: Any) -> ExportTask:
    return ExportTask(**{"config": "toy.yaml", "filelist": ("train.root",), **more})


def schema_of(task: ExportTask) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((task.folder / "bundle" / "schema.json").read_text())
    return content


def test_a_training_becomes_a_bundle_that_is_not_made_again(place: Path) -> None:
    task = export(test_filelist=("test.parquet",), bundle_name="mine")
    run_with_requirements(task)
    assert task.complete()
    schema = schema_of(task)
    assert schema["name"] == "mine"
    assert [graph["file"] for graph in schema["graphs"]] == ["model.onnx"]
    before = (task.folder / "run.json").stat().st_mtime_ns
    run_with_requirements(export(test_filelist=("test.parquet",), bundle_name="mine"))
    assert (task.folder / "run.json").stat().st_mtime_ns == before


def test_each_fold_is_a_graph_which_judges_the_rows_that_it_never_saw(place: Path) -> None:
    task = export(folds=3)
    run_with_requirements(task)
    schema = schema_of(task)
    assert [graph["fold"] for graph in schema["graphs"]] == [0, 1, 2]
    assert "rows of fold 1 of 3" in schema["graphs"][1]["apply_to"]
    assert schema["fold_rule"]
    agreement = json.loads((task.folder / "bundle" / "agreement.json").read_text())
    inference = task.requires()["inference"]
    predictions = Predictions.read(inference.folder / "predictions.parquet")
    assert agreement["rows"] == len(predictions) == 300, "every row of the training file, by the fold that held it out"
    assert agreement["largest"] < 1e-5
    with np.load(task.folder / "bundle" / "rows.npz", allow_pickle=False) as rows:
        graphs, names = rows["graph"], rows["cases"].tolist()
        inputs = {name: rows[f"7.in.{name}"] for name in ("constituents", "constituents_mask", "jet")}
    assert set(graphs.tolist()) == {0, 1, 2}
    row = int(names[7].removeprefix("row "))
    assert graphs[7] == predictions.event["fold"][row]
    session = onnxruntime.InferenceSession(task.folder / "bundle" / f"model_fold{graphs[7]}.onnx")
    found = session.run(["prob_signal"], inputs)[0]
    np.testing.assert_allclose(found, predictions.probabilities[row, 1], atol=2e-6)


def test_what_a_bundle_cannot_hold_is_said_before_anything_is_trained(place: Path) -> None:
    with pytest.raises(CollidekitError, match="cannot contain an ensemble"):
        export(seeds=("1", "2")).complete()
    with pytest.raises(CollidekitError, match="--test-attack: has no meaning for a bundle"):
        export(test_attack="fgsm", test_attack_magnitude=0.1).complete()
    with pytest.raises(CollidekitError, match="--opset: 30"):
        export(opset=30).complete()
    assert not (place / "results").exists()
