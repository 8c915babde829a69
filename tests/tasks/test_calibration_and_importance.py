"""Calibrated predictions, feature importance, and both in the report."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from collidekit.errors import CollidekitError
from collidekit.models.temperature import tempered
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.calibrate import calibrate
from collidekit.tasks.importance import ImportanceTask
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.report import ReportTask
from collidekit.tasks.report_calibration import stored_temperature
from collidekit.tasks.training import TrainingTask
from collidekit.training.checkpoint import load_checkpoint

torch.set_num_threads(1)
FILES: dict[str, Any] = {"config": "toy.yaml", "filelist": ("train.root",), "test_filelist": ("test.parquet",)}
LEARNS = {**FILES, "learning_rate": 0.02, "epochs": 4, "n_threads": 1}


def test_calibrated_predictions_and_importance_in_the_report(place: Path) -> None:
    task = ReportTask(**LEARNS, calibrated=True, explain=True)
    assert task.folder != ReportTask(**LEARNS, calibrated=True).folder
    assert task.requires()["inference"].hash == InferenceTask(**LEARNS, calibrated=True).hash
    run_with_requirements(task)
    checkpoint = load_checkpoint(TrainingTask(**{k: v for k, v in LEARNS.items() if k != "test_filelist"}).folder)
    assert checkpoint.temperature is not None

    plain = InferenceTask(**LEARNS)
    run_with_requirements(plain)
    assert stored_temperature(plain) == checkpoint.temperature
    before, after = plain.predictions(), task.predictions()
    assert (before.temperature, after.temperature) == (1.0, checkpoint.temperature.value)
    expected = tempered(before.probabilities, checkpoint.temperature.value)
    assert np.allclose(after.probabilities, expected, atol=1e-6)

    text = (task.folder / "report.html").read_text()
    assert "All other numbers of this report use this temperature" in text
    assert "in a sample with this composition" in text  # the toy has kinematics
    assert '<section id="feature-importance">' in text
    found = ImportanceTask.req(task).read()
    assert [result.score for result in found] == ["SvsB"]
    assert found[0].rows == 200
    assert {feature.name for feature in found[0].features} >= {"part_d0", "jet_pt", "all of constituents"}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"explain_rows": 1}, "--explain-rows: 1 is too few"),
        ({"explain_repeats": 1}, "--explain-repeats: 1 is too few"),
    ],
)
def test_wrong_settings_of_importance(place: Path, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(CollidekitError, match=message):
        _ = ImportanceTask(**FILES, **parameters).hash


def test_importance_is_that_of_one_model(place: Path) -> None:
    with pytest.raises(CollidekitError, match="feature importance needs a single model"):
        ImportanceTask(**FILES, seeds=("1", "2")).complete()


def test_calibrate_draws_as_the_analysis_says(place: Path) -> None:
    (place / "toy.yaml").write_text((place / "toy.yaml").read_text() + "plots: {formats: []}\n")
    training = TrainingTask(**{k: v for k, v in LEARNS.items() if k != "test_filelist"})
    run_with_requirements(training)
    made = calibrate(training.folder, ["test.parquet"], place / "calibration")
    assert [path.name for path in made.plots] == ["reliability_signal.png"]
