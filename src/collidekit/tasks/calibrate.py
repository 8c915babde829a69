"""Function of ``collidekit calibrate``: fit the temperature of a model, store it, and show its effect."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from collidekit.dataset.loader import Dataset
from collidekit.dataset.manifest import read_manifest
from collidekit.errors import CollidekitError
from collidekit.evaluation.calibration.calibrate import temperature_of, weighted_as_in_training
from collidekit.evaluation.calibration.reliability import CalibrationResult, measure_calibration
from collidekit.evaluation.calibration.report import calibration_rows
from collidekit.evaluation.look import look_of
from collidekit.evaluation.plots.reliability import plot_reliabilities
from collidekit.files import write_json
from collidekit.inference.ensemble import predict_files_with
from collidekit.inference.file_rows import counted
from collidekit.inference.predict import predict
from collidekit.inference.predictions import Predictions
from collidekit.inference.seen import Refusal, SeenRows, content_of_paths
from collidekit.names import name_problem
from collidekit.plain_text import literal
from collidekit.progress import counting
from collidekit.readers import content_of, expand, file_id
from collidekit.sealed import read_sealed
from collidekit.shipped import shipped_models
from collidekit.tasks.titles import short
from collidekit.training.checkpoint import Checkpoint, find_checkpoint, load_checkpoint, store_temperature
from collidekit.training.prepare import validation_rows

OTHER_FILES = "leave out the files to use the validation rows, or give other files"


@dataclass(frozen=True)
class Calibrated:
    """Result of a calibration: the path of the model, the measured calibration, and the written files."""

    path: Path
    result: CalibrationResult
    folder: Path
    plots: list[Path]
    skipped: list[str]


def calibrate(
    checkpoint: str | Path,
    files: Sequence[str] = (),
    out: Path | None = None,
    batch_size: int = 1024,
    skip_bad_files: bool = False,
    threads: int | None = None,
) -> Calibrated:
    """Fit a temperature on the validation rows, weighted as in the loss, or on all rows of files with their weights.

    Writes ``calibration.json`` and a reliability plot of each class to ``out``, by default beside the model.
    """
    path = find_checkpoint(checkpoint)
    if str(checkpoint) in shipped_models():
        raise CollidekitError(
            f"{checkpoint}: this bundled model cannot be changed; copy the folder {path.parent} and calibrate the copy"
        )
    loaded = load_checkpoint(path)
    loaded.analysis.require_classes("a temperature")
    if threads:
        torch.set_num_threads(threads)
    skipped: list[str] = []
    if files:
        predictions, skipped = _of_files(path, loaded, files, batch_size, skip_bad_files)
        fitted_on = f"rows of {', '.join(Path(name).name for name in expand(list(files)))}"
    else:
        predictions = _of_validation(path, loaded)
        fitted_on = "validation rows"
    temperature = temperature_of(predictions, fitted_on)
    result = measure_calibration(predictions, temperature)
    folder = out or path.parent / "calibration"
    with look_of(loaded.analysis):
        plots = plot_reliabilities(folder, predictions, temperature, f"{loaded.analysis.name}, {short(str(path))}")
    write_json(folder / "calibration.json", result.as_dict())
    store_temperature(path, temperature)  # last, so that an error leaves the model unchanged
    return Calibrated(path, result, folder, plots, skipped)


def _of_files(
    path: Path, loaded: Checkpoint, files: Sequence[str], batch_size: int, skip_bad_files: bool
) -> tuple[Predictions, list[str]]:
    trained_on = _training_files(path) | {content for entry in loaded.learned_from for content in entry.files}
    for name in expand(list(files)):
        if content_of(file_id(name)) in trained_on:
            raise CollidekitError(
                f"{name}: this is a training file of the model, so its probabilities look better there than they are; {OTHER_FILES}"
            )
    members, paths = {"the model": loaded}, expand(list(files))
    seen = SeenRows(members, content_of_paths(paths, members), Refusal(paths, remedy=OTHER_FILES))
    with counting("Predicting", "rows") as done:
        found, skipped = predict_files_with(members, files, loaded.plan(), batch_size, skip_bad_files, done, seen=seen)
    return found["the model"], skipped


def _of_validation(path: Path, loaded: Checkpoint) -> Predictions:
    folder = _dataset_of(path)
    if folder is None or not (folder / "manifest.json").is_file():
        raise CollidekitError(
            f"{path}: its training dataset is not here, so there are no validation rows; give files with truth that are not training files"
        )
    dataset = Dataset(folder, loaded.config.n_train_files, loaded.analysis)
    with counting("Predicting the validation rows", "rows") as done:
        rows = validation_rows(dataset, loaded.config.split)
        predictions = predict(loaded.tagger, loaded.analysis, counted(rows, done))
    return weighted_as_in_training(predictions, dataset.manifest, loaded.analysis)


def _dataset_of(path: Path) -> Path | None:
    """Return the dataset of the TrainingTask of a checkpoint in the same results folder; None if it is unknown."""
    run = path.parent / "run.json"
    if not run.is_file():
        return None
    settings = read_sealed(run, "remove it, and give files with truth").get("settings")
    dataset = settings.get("dataset") if isinstance(settings, dict) else None
    place = path.parent.resolve().parts
    if not isinstance(dataset, str) or name_problem(dataset) or len(place) < 5 or place[-5] != "TrainingTask":
        return None
    analysis, version = place[-4], place[-3]
    return Path(*place[:-5], "DatasetConstructorTask", analysis, version, dataset)


def _training_files(path: Path) -> set[tuple[Any, ...]]:
    """Return the identities of the contents of the training files."""
    folder = _dataset_of(path)
    if folder is None or not (folder / "manifest.json").is_file():
        return set()
    return {content_of(entry["id"]) for entry in read_manifest(folder).inputs if "id" in entry}


def calibration_table(result: CalibrationResult) -> Table:
    """Return a table of the calibration before and after."""
    header, rows = calibration_rows(result)
    table = Table()
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number else "left")
    for row in rows:
        table.add_row(*map(literal, row))
    return table
