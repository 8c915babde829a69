"""Attacks: physical changes of a batch that make the loss of a tagger larger."""
