"""What else changes in a row where its constituents do: features, coordinates and variables follow from the analysis file.

Augmentations of a training and attacks on momenta both move constituents; below both stands this.
"""
