"""Reconstruction of events with top quarks: four-momenta, jet pairing and neutrino solvers, on arrays only."""
