"""Consistency of rows whose constituents change: dependent features, coordinates and variables follow from the analysis file.

Augmentations of a training and attacks on momenta both move constituents, and use this package.
"""
