"""Importance: the features and constituents on which a score depends."""
