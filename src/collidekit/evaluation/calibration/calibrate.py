"""Fit of the temperature of a trained tagger to rows that it was not trained on."""

from dataclasses import replace

import numpy as np

from collidekit.analysis.schema import Analysis
from collidekit.dataset.kinematics import kinematic_bins
from collidekit.dataset.loader import Dataset
from collidekit.dataset.manifest import Manifest
from collidekit.evaluation.calibration.reliability import known_rows
from collidekit.evaluation.calibration.temperature_fit import fit_temperature
from collidekit.inference.predict import predict
from collidekit.inference.predictions import Predictions
from collidekit.models.temperature import Temperature, log_probabilities
from collidekit.training.checkpoint import Checkpoint
from collidekit.training.prepare import validation_rows
from collidekit.training.weighting import Reweighting


def calibrate_on_validation(checkpoint: Checkpoint, dataset: Dataset, threads: int = 1) -> Temperature:
    """Return the temperature of the validation rows, with their weights in the loss of the training."""
    rows = validation_rows(dataset, checkpoint.config.split, threads)
    predictions = predict(checkpoint.tagger, dataset.analysis, rows)
    weighted = weighted_as_in_training(predictions, dataset.manifest, dataset.analysis)
    return temperature_of(weighted, "validation rows")


def temperature_of(predictions: Predictions, fitted_on: str) -> Temperature:
    """Fit a temperature to the rows of known class with their weights; the predictions must not be calibrated yet."""
    known = known_rows(predictions)
    return fit_temperature(log_probabilities(known.probabilities), known.labels, known.weights, fitted_on)


def weighted_as_in_training(predictions: Predictions, manifest: Manifest, analysis: Analysis) -> Predictions:
    """Return the rows of known class with the weights of the training: kinematic weights and class weights.

    A network learns the fraction of each class among rows with these weights. This holds both for weights in the loss and for
    sampling.
    """
    known = known_rows(predictions)
    factors = np.array([analysis.class_weights.get(name, 1.0) for name in analysis.classes])[known.labels]
    reweighting = Reweighting.of(manifest)
    if reweighting is not None:
        bins = kinematic_bins(known.spectators, len(known), manifest.analysis)
        factors = factors * reweighting.table[known.labels, bins]
    return replace(known, weights=known.weights * factors)


def is_weighted(manifest: Manifest, analysis: Analysis) -> bool:
    """Return whether the training changes the class composition of its rows."""
    return manifest.analysis.kinematics is not None or any(value != 1 for value in analysis.class_weights.values())
