"""Calibration: reliability of probabilities, and temperature scaling."""
