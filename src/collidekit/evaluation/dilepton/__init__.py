"""Dileptonic top pairs: what networks and classical methods make of the same events, compared with the truth."""
