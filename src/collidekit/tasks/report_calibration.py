"""Section of a report on calibration, before and after temperature scaling."""

from dataclasses import replace
from pathlib import Path

from collidekit.dataset.manifest import read_manifest
from collidekit.evaluation.calibration.calibrate import is_weighted, weighted_as_in_training
from collidekit.evaluation.calibration.reliability import known_rows, measure_calibration
from collidekit.evaluation.calibration.report import calibration_section
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.plots.reliability import plot_reliabilities
from collidekit.evaluation.report.report import Section
from collidekit.inference.predictions import Predictions
from collidekit.models.temperature import Temperature, tempered
from collidekit.tasks.inference import InferenceTask
from collidekit.training.checkpoint import find_checkpoint, load_content


def calibration_part(inference: InferenceTask, folder: Path, note: str) -> Section:
    """Return the section of a report, and write its plots to ``folder``."""
    predictions = inference.predictions()
    temperature = None if inference.is_ensemble else stored_temperature(inference)
    if temperature is not None and inference.calibrated:  # probabilities without the temperature
        before = tempered(predictions.probabilities, 1 / predictions.temperature)
        predictions = replace(predictions, probabilities=before)
    rows, weighted = _weighted(inference, predictions)
    result = measure_calibration(rows, temperature)
    plots = plot_reliabilities(folder, rows, temperature, note)
    pictures = [path for path in plots if path.suffix == ".png"]
    return calibration_section(result, pictures, weighted, _notes(inference, temperature))


def stored_temperature(inference: InferenceTask) -> Temperature | None:
    """Return the temperature of the evaluated model."""
    trainings = inference.trainings()
    named = trainings["training"].folder / "best_model.pt" if trainings else inference.checkpoint[0]
    path = find_checkpoint(named)
    return Temperature.read(load_content(path).get("temperature"), path)


def _weighted(inference: InferenceTask, predictions: Predictions) -> tuple[Predictions, bool]:
    """Return the rows with the weights of the training if it is known, and whether these are different."""
    trainings = inference.trainings()
    if not trainings:
        return known_rows(predictions), False
    manifest = read_manifest(next(iter(trainings.values())).requires()["dataset"].folder)
    weighted = is_weighted(manifest, inference.analysis)
    return weighted_as_in_training(predictions, manifest, inference.analysis), weighted


def _notes(inference: InferenceTask, temperature: Temperature | None) -> list[str]:
    if inference.joins_folds:
        what = "calibrated by its own temperature" if inference.calibrated else "not calibrated"
        return [f"Each row has the probabilities of the fold that was not trained on it, {what}."]
    if inference.is_ensemble:
        what = "each calibrated by its own temperature" if inference.calibrated else "none of them calibrated"
        return [f"The probabilities are from an ensemble of members, {what}."]
    if temperature is None:
        return ["The model has no temperature; 'collidekit calibrate' fits one."]
    used = "use this temperature" if inference.calibrated else "are without it"
    value = with_error(temperature.value, temperature.error)
    fitted = f"Temperature {value}, fitted to {temperature.rows:,} {temperature.fitted_on}"
    return [f"{fitted}; above 1 the network was overconfident. All other numbers of this report {used}."]
