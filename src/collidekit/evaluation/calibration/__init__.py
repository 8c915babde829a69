"""Calibration: how true the probabilities are, and the temperature that makes them so."""
