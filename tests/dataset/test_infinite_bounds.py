"""A bound may be infinite: then only the other one clips."""

from pathlib import Path

import numpy as np
import pytest
import toys

from collidekit.analysis.scope import Plan
from collidekit.dataset.check import check
from collidekit.dataset.loader import Dataset
from collidekit.inference.predict import predict_dataset
from collidekit.tasks.input_plotter import histogram_inputs
from collidekit.training.checkpoint import load_checkpoint
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training

TEXT = toys.GAUSSIANS.replace(
    "features: [x, y]", "features: [{name: x, bounds: [0, .inf]}, {name: y, bounds: [-.inf, 1]}]"
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return toys.make_dataset(tmp_path_factory.mktemp("bounds"), TEXT, toys.gaussians_table(400, 2.0))


def test_values_are_clipped_on_one_side(dataset: Dataset) -> None:
    values = toys.all_rows(dataset).inputs["point"].numpy()
    assert values[:, 0].min() == 0
    assert values[:, 0].max() > 1.5
    assert values[:, 1].max() == 1
    assert values[:, 1].min() < -1.5


def test_training_prediction_and_histograms_take_them(dataset: Dataset, tmp_path: Path) -> None:
    again = Dataset(dataset.manifest.folder)  # from the manifest, where they stand as text
    assert again.analysis.inputs["point"].features[0].bounds == (0, np.inf)
    config = TrainingConfig(model_name="mlp", epochs=1)
    checkpoint = load_checkpoint(Training(config, again, tmp_path, accelerator="cpu").run())
    assert np.isfinite(predict_dataset(checkpoint, again, allow_training_rows=True).probabilities).all()
    for axis in histogram_inputs(again).axes.values():
        assert np.isfinite(axis.edges).all()


def test_check_does_not_call_them_far(dataset: Dataset) -> None:
    found = check(Plan(dataset.analysis), [str(dataset.manifest.folder.parent / "rows.parquet")])
    assert not [problem.text for problem in found.problems if "its bound" in problem.text]
