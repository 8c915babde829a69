"""Trainings over a grid of settings: what they reach on the validation rows, and which one is best."""
