"""Interface of a tracker, which gets the settings, each epoch, and the end of a training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar


@dataclass(frozen=True)
class Tracking:
    """The trackers of a training, and what they may upload."""

    names: tuple[str, ...] = ()
    """Names of trackers; empty for the default, ``csv`` and ``tensorboard``."""
    title: str = ""
    """Name of the run."""
    store: Path | None = None
    """Results folder, for local runs that several trainings share; by default the folder of the training."""
    files: bool = False
    """Upload also the model and the tables of the training."""
    online: bool = False
    """Upload runs of Weights & Biases to the server; by default they are only written to the disk."""


class Tracker:
    """Base class of trackers.

    When a training continues after an interruption, ``epoch`` is called again for all earlier epochs: record each epoch
    once. An exception ends the tracking with a warning, and the training continues.
    """

    in_background: ClassVar[bool] = True
    """True if calls run one after another in a thread of this tracker, so that a slow server does not slow the training."""

    def __init__(self, tracking: Tracking, run_id: str) -> None:
        """Store the arguments. ``run_id`` identifies the run; it stays the same when an interrupted training continues."""
        self.tracking, self.run_id = tracking, run_id

    @classmethod
    def check(cls, tracking: Tracking) -> None:
        """Raise an error, before the training starts, if the tracker cannot work."""

    def begin(self, settings: Mapping[str, Any], analysis: str, folder: Path) -> None:
        """Start or continue the run of a training. The settings have flat names and no private paths."""

    def epoch(self, row: Mapping[str, float]) -> None:
        """Record an epoch, given as a row of ``history.csv``."""

    def end(self, kept_epoch: int, files: Sequence[Path]) -> None:
        """Close the run of a complete training. ``files`` is empty without ``--track-files``."""

    def stop(self) -> None:
        """Close the run of an interrupted training, which may continue later."""

    def link(self, folder: Path) -> str:
        """Return the path of the training below the results folder, which contains no private folder names."""
        return relative(folder, self.store_of(folder)) or folder.name

    def store_of(self, folder: Path) -> Path:
        """Return the folder for local runs."""
        return self.tracking.store or folder


def relative(path: Path, root: Path) -> str:
    """Return a path relative to a folder as text, or an empty text if it is not below the folder."""
    found = path.absolute()
    inside = found.is_relative_to(root.absolute()) and found != root.absolute()
    return str(found.relative_to(root.absolute())) if inside else ""
