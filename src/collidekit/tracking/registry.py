"""The built-in trackers by name. A user's tracker is found by its file or its package."""

from collections.abc import Callable

from collidekit.errors import CollidekitError
from collidekit.plugins import Kind
from collidekit.tracking.base import Tracker, Tracking
from collidekit.tracking.csv_files import CsvFiles
from collidekit.tracking.mlflow_runs import Mlflow
from collidekit.tracking.tensorboard import TensorBoard
from collidekit.tracking.wandb_runs import WeightsAndBiases

TRACKERS: dict[str, type[Tracker]] = {
    "csv": CsvFiles,
    "tensorboard": TensorBoard,
    "mlflow": Mlflow,
    "wandb": WeightsAndBiases,
}
DEFAULT = ("csv", "tensorboard")
KIND = Kind("tracker", Tracker, "collidekit.tracking.Tracker", TRACKERS)


def find_trackers(tracking: Tracking, say: Callable[[str], None] = lambda text: None) -> dict[str, type[Tracker]]:
    """Return the classes of the trackers by name; raise CollidekitError if one that the user names cannot work.

    Without names, ``say`` gets a message if the package of a default tracker is missing.
    """
    if not tracking.names:
        return _default(tracking, say)
    found = {name: _find(name) for name in tracking.names}
    if tracking.online and WeightsAndBiases not in found.values():
        raise CollidekitError("--track-online: does nothing without --track wandb")
    if tracking.files and not any(kind.in_background for kind in found.values()):
        raise CollidekitError("--track-files: does nothing without --track mlflow, wandb or your own tracker")
    for kind in found.values():
        kind.check(tracking)
    return found


def _find(name: str) -> type[Tracker]:
    if not name.strip():
        raise CollidekitError("--track: the value is empty; give a value or leave the option out")
    try:
        found: type[Tracker] = KIND.find(name.strip())
    except CollidekitError as error:
        raise CollidekitError(f"--track: {error}") from None
    return found


def _default(tracking: Tracking, say: Callable[[str], None]) -> dict[str, type[Tracker]]:
    if tracking.files or tracking.online:
        option = "--track-files" if tracking.files else "--track-online"
        raise CollidekitError(f"{option}: does nothing without --track")
    found = {}
    for name in DEFAULT:
        try:
            TRACKERS[name].check(tracking)
            found[name] = TRACKERS[name]
        except CollidekitError as error:
            say(f"nothing is written for {TRACKERS[name].__name__}: {error}")
    return found
