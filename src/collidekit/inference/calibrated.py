"""Predictions calibrated with the temperature of the model."""

from dataclasses import replace

from collidekit.errors import CollidekitError
from collidekit.inference.predictions import Predictions
from collidekit.models.temperature import Temperature


def calibrated(predictions: Predictions, temperature: Temperature | None, name: object) -> Predictions:
    """Return predictions with calibrated probabilities; ``name`` names the model in the error if it has no temperature."""
    found = required_temperature(temperature, name)
    return replace(predictions, probabilities=found.apply(predictions.probabilities), temperature=found.value)


def required_temperature(temperature: Temperature | None, name: object) -> Temperature:
    """Return the temperature; raise CollidekitError if there is none."""
    if temperature is None:
        raise CollidekitError(f"{name}: has no temperature; fit one with 'collidekit calibrate {name}'")
    return temperature
