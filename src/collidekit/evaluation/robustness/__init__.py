"""Robustness: what is left of a tagger under attacks and shifts."""
