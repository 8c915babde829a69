"""Every file that the product reads back, damaged in any way, is one clear error or no error, and never a traceback."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from odd import damage, damaged, ends_well, fuzzed, randoms, show
from tests.fuzz.conftest import World

from collidekit.dataset.loader import Dataset, Loader
from collidekit.dataset.manifest import read_manifest
from collidekit.dataset.warnings import data_warnings
from collidekit.evaluation.classification.working_points import working_points
from collidekit.evaluation.report.input_histograms import InputHistograms
from collidekit.inference.predictions import Predictions
from collidekit.tasks.input_plotter import histogram_inputs
from collidekit.tasks.tables import measure_all
from collidekit.training.checkpoint import load_checkpoint
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training

Use = Callable[[World, Path, Path], None]
"""Reads a damaged file of the world as a command would; the last path is a folder to write to."""


def read_dataset(world: World, path: Path, scratch: Path) -> None:
    """As training, histograms and reports do."""
    dataset = Dataset(path.parent)
    data_warnings(read_manifest(path.parent))
    histogram_inputs(dataset, 5)
    list(Loader(dataset, 32, shuffle=True, threads=0))
    config = TrainingConfig(model_options={"phi": [4], "f": [4]}, epochs=1, batch_size=64)
    Training(config, dataset, scratch / "training", accelerator="cpu")


def read_predictions(world: World, path: Path, scratch: Path) -> None:
    found = Predictions.read(path)
    measure_all(found, replicates=2)
    working_points(found, [0.1], [])
    found.write(scratch / "again.parquet")


def go_on(world: World, path: Path, scratch: Path) -> None:
    """As a training that goes on from its last checkpoint."""
    dataset = Dataset(world.of("DatasetConstructorTask"))
    config = load_checkpoint(world.of("TrainingTask")).config
    Training(config, dataset, scratch / "training", accelerator="cpu").resume(path)


def command(*words: str) -> Use:
    """``{file}``, ``{folder}`` and ``{test}`` stand for the damaged file, its folder and the test file."""

    def use(world: World, path: Path, scratch: Path) -> None:
        places = {"file": path, "folder": path.parent, "test": world.test, "scratch": scratch}
        given = world.words if words == ("run",) else [word.format(**places) for word in words]
        world.command(*given)

    return use


PREDICT = command("predict", "{folder}", "{test}", "-o", "{scratch}/p.parquet")
PUBLISH = command("publish", "{folder}", "{scratch}/published", "--force", "--threads", "1")
CALIBRATE = command("calibrate", "{folder}", "-o", "{scratch}/calibration")
EXPLAIN = command(
    "explain", "{folder}", "{test}", "--rows", "20", "--repeats", "2", "--steps", "1", "-o", "{scratch}/explained"
)

READ_BACK: dict[str, tuple[str, str, list[Use]]] = {
    "manifest": ("DatasetConstructorTask", "manifest.json", [read_dataset, command("clean"), command("run")]),
    "shard": ("DatasetConstructorTask", "shard_00000.arrow", [read_dataset]),
    "run of a dataset": ("DatasetConstructorTask", "run.json", [command("clean")]),
    "run of a training": ("TrainingTask", "run.json", [command("clean"), PUBLISH, CALIBRATE]),
    "history": ("TrainingTask", "history.csv", [PUBLISH, command("clean", "--checkpoints")]),
    "best model": ("TrainingTask", "best_model.pt", [PREDICT, CALIBRATE]),
    "last state": ("TrainingTask", "last.pt", [go_on]),
    "predictions": ("InferenceTask", "predictions.parquet", [read_predictions]),
    "histograms": ("InputHistogrammerTask", "histograms.npz", [lambda w, path, s: InputHistograms.load(path)]),
    "table of ROC curves": ("ROCCurveTask", "roc.json", [command("run")]),
}
"""Task, file and what reads it."""


@pytest.mark.parametrize("name", READ_BACK)
@fuzzed(15, chance=randoms)
def test_a_damaged_file_is_one_clear_error(name: str, world: World, scratch: Path, chance: random.Random) -> None:
    task, file, uses = READ_BACK[name]
    path = world.of(task) / file
    content = damage(path.read_bytes(), chance)
    show(file=file, content=content)
    with damaged(path, content):
        for use in uses:
            ends_well(lambda use=use: use(world, path, scratch))  # type: ignore[misc]
