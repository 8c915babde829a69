"""The models of a run, found from the folder of its report or predictions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collidekit.errors import CollidekitError
from collidekit.names import name_problem
from collidekit.sealed import read_sealed

_PARTS = 6
"""Number of parts of the path of a report below the results: task, analysis, three versions, hash."""


def with_members(names: Sequence[str | Path]) -> list[str]:
    """Return the names of checkpoints, with each folder of a ReportTask or InferenceTask replaced by its trainings."""
    return [member for name in names for member in (_trainings(Path(name)) or [str(name)])]


def _trainings(folder: Path) -> list[str]:
    """Return the folders of the trainings of a run; an empty list if the folder is not of such a run."""
    place = folder.absolute().parts
    if len(place) < _PARTS or not (folder / "run.json").is_file():
        return []
    results, (task, *between, _) = Path(*place[:-_PARTS]), place[-_PARTS:]
    if task == "ReportTask":
        found = _settings(folder, "inference")
        return _trainings(results.joinpath("InferenceTask", *between, _checked_name(folder, found)))
    if task != "InferenceTask":
        return []
    if members := _settings(folder, "members"):
        parts = [folder.with_name(_checked_name(folder, member)) for member in dict(members).values()]
        return [training for part in parts for training in _trainings(part)]
    training = _settings(folder, "training")
    return [str(results.joinpath("TrainingTask", *between[:-1], _checked_name(folder, training)))] if training else []


def _settings(folder: Path, name: str) -> Any:
    settings = read_sealed(folder / "run.json").get("settings")
    return settings.get(name) if isinstance(settings, dict) else None


def _checked_name(folder: Path, name: Any) -> str:
    if not isinstance(name, str) or name_problem(name):
        raise CollidekitError(f"{folder / 'run.json'}: is not a valid record of a run; give the checkpoints instead")
    return name
