"""Simulated samples: Pythia events, a parametrised detector, and jets or events in a file."""

from collidekit.simulation.samples import SAMPLES, Sample
from collidekit.simulation.simulate import simulate

__all__ = ["SAMPLES", "Sample", "simulate"]
