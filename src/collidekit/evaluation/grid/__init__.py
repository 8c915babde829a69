"""Trainings over a grid of settings: results on the validation rows, and the best point."""
