"""Interface of a tracker: it gets the settings, each epoch, and the end of a training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar


@dataclass(frozen=True)
class Tracking:
    """Trackers that record a training, and what they may send."""

    names: tuple[str, ...] = ()
    """Names of trackers; none means the default: ``csv`` and ``tensorboard``."""
    title: str = ""
    """The name of the run; without it analysis, network and folder."""
    store: Path | None = None
    """The folder of the results, for local stores that several trainings share; without it the folder of the training."""
    files: bool = False
    """Upload the model and the tables of the training, too."""
    online: bool = False
    """Send runs of Weights & Biases to its server; they are written to the disk only by default."""


class Tracker:
    """Base class of trackers.

    ``epoch`` is called for all epochs so far when a training goes on after an interruption: a tracker records each once. An
    exception ends the tracking with a warning, and the training goes on.
    """

    in_background: ClassVar[bool] = True
    """Calls are made one after another in a thread of this tracker, so that a slow server does not slow the training."""

    def __init__(self, tracking: Tracking, run_id: str) -> None:
        """``run_id`` identifies the run: it stays the same when an interrupted training goes on."""
        self.tracking, self.run_id = tracking, run_id

    @classmethod
    def check(cls, tracking: Tracking) -> None:
        """Raise an error, before the training starts, if the tracker cannot work."""

    def begin(self, settings: Mapping[str, Any], analysis: str, folder: Path) -> None:
        """Start or continue the run of a training. The settings have their flat names, without private paths."""

    def epoch(self, row: Mapping[str, float]) -> None:
        """Record an epoch: a row of ``history.csv``."""

    def end(self, kept_epoch: int, files: Sequence[Path]) -> None:
        """Close the run of a complete training. ``files`` is empty unless the user asks to upload files."""

    def stop(self) -> None:
        """Close the run of an interrupted training, which may go on later."""

    def link(self, folder: Path) -> str:
        """Return the path of the training below the results, which holds no private folder names."""
        return relative(folder, self.store_of(folder)) or folder.name

    def store_of(self, folder: Path) -> Path:
        """Return the folder of a local store."""
        return self.tracking.store or folder


def relative(path: Path, root: Path) -> str:
    """Return a path below a folder as text, or an empty text if it lies elsewhere."""
    found = path.absolute()
    inside = found.is_relative_to(root.absolute()) and found != root.absolute()
    return str(found.relative_to(root.absolute())) if inside else ""
