"""Reconstruction of whole events: kinematics, classical methods and spin observables, on arrays."""
