"""The tracker ``csv``: ``history.csv`` and ``steps.csv``, which every training writes."""

from collidekit.tracking.base import Tracker


class CsvFiles(Tracker):
    """Tables that the training always writes itself, before each checkpoint, because tasks need them."""

    in_background = False
