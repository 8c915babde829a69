"""The version of the scorer."""

SCORER_VERSION = "2"
"""Changes whenever the same predictions would get other scores: runs of an earlier scorer are not compared with later ones."""
