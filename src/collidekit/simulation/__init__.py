"""Samples of our own making: Pythia events, a parametrised detector, jets in a ROOT file."""

from collidekit.simulation.samples import SAMPLES, Sample
from collidekit.simulation.simulate import simulate

__all__ = ["SAMPLES", "Sample", "simulate"]
