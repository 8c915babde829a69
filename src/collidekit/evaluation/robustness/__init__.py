"""Robustness of taggers under attacks and shifts."""
