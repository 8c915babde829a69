"""The models behind the folder of a run: that of its report, or of its predictions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collidekit.errors import CollidekitError
from collidekit.names import name_problem
from collidekit.sealed import read_sealed

_PARTS = 6
"""Of the place of a report below the results: task, analysis, three versions, hash."""


def with_members(names: Sequence[str | Path]) -> list[str]:
    """Return the names of checkpoints, with the trainings behind a folder of a ReportTask or an InferenceTask in its place."""
    return [member for name in names for member in (_trainings(Path(name)) or [str(name)])]


def _trainings(folder: Path) -> list[str]:
    """The folders of the trainings of a run; none where a folder is no run of this kind."""
    place = folder.absolute().parts
    if len(place) < _PARTS or not (folder / "run.json").is_file():
        return []
    results, (task, *between, _) = Path(*place[:-_PARTS]), place[-_PARTS:]
    if task == "ReportTask":
        found = _settings(folder, "inference")
        return _trainings(results.joinpath("InferenceTask", *between, _named(folder, found)))
    if task != "InferenceTask":
        return []
    if members := _settings(folder, "members"):
        parts = [folder.with_name(_named(folder, member)) for member in dict(members).values()]
        return [training for part in parts for training in _trainings(part)]
    training = _settings(folder, "training")
    return [str(results.joinpath("TrainingTask", *between[:-1], _named(folder, training)))] if training else []


def _settings(folder: Path, name: str) -> Any:
    settings = read_sealed(folder / "run.json").get("settings")
    return settings.get(name) if isinstance(settings, dict) else None


def _named(folder: Path, name: Any) -> str:
    if not isinstance(name, str) or name_problem(name):
        raise CollidekitError(f"{folder / 'run.json'}: is no record of a run; name the checkpoints themselves")
    return name
