"""Attacks: a batch becomes another one that a tagger judges worse, within what is physical."""
