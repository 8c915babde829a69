"""Predictions with the temperature that is stored with the model."""

from dataclasses import replace

from collidekit.errors import CollidekitError
from collidekit.inference.predictions import Predictions
from collidekit.models.temperature import Temperature


def calibrated(predictions: Predictions, temperature: Temperature | None, name: object) -> Predictions:
    """Calibrated probabilities; ``name`` is the model's, for the error where it has no temperature yet."""
    found = required_temperature(temperature, name)
    return replace(predictions, probabilities=found.apply(predictions.probabilities), temperature=found.value)


def required_temperature(temperature: Temperature | None, name: object) -> Temperature:
    """The temperature, or one clear error."""
    if temperature is None:
        raise CollidekitError(f"{name}: holds no temperature; fit one with 'collidekit calibrate {name}'")
    return temperature
