"""Importance: which features and constituents a score depends on."""
