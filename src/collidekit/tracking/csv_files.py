"""``history.csv`` and ``steps.csv``, which every training has."""

from collidekit.tracking.base import Tracker


class CsvFiles(Tracker):
    """The tables that the training writes itself, before each checkpoint: tasks need them, whatever else is tracked."""

    in_background = False
