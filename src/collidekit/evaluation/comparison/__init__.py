"""Comparison of several taggers: curves on the same rows, differences with errors, one report."""
