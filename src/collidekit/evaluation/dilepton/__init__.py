"""Evaluation of networks and classical methods for dileptonic top pairs on the same events, compared with the truth."""
