"""The content of ``run.json`` of outputs, by the hash of the output."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collidekit.errors import CollidekitError
from collidekit.outputs.find import UNDER, Output
from collidekit.sealed import read_sealed

INFERENCE, ROC, REPORT = "InferenceTask", "ROCCurveTask", "ReportTask"


@dataclass(frozen=True)
class Record:
    """One complete output and its settings."""

    output: Output
    content: dict[str, Any]

    @property
    def settings(self) -> dict[str, Any]:
        found: dict[str, Any] = self.content["settings"]
        return found

    @property
    def made(self) -> str:
        """Return the time when the output was made, in ISO 8601 format."""
        return str(self.content.get("made", ""))

    @property
    def test_version(self) -> str:
        """Return the version of the test dataset, for predictions and results that are made from them."""
        return self.output.versions[-1].split(UNDER)[0] if self.output.versions else ""


class Records:
    """Complete outputs by task and hash. Outputs with a damaged ``run.json`` are left out."""

    def __init__(self, outputs: Sequence[Output]) -> None:
        self._found: dict[str, dict[str, list[Record]]] = {}
        for output in outputs:
            if record := _read(output):
                self._found.setdefault(output.task, {}).setdefault(output.hash, []).append(record)

    def of_task(self, task: str) -> list[Record]:
        """Return all outputs of a task."""
        return [record for records in self._found.get(task, {}).values() for record in records]

    def find(self, task: str, name: Any, analysis: str) -> Record | None:
        """Return the output of a task with this hash; None if there is none."""
        found = self._found.get(task, {}).get(str(name), [])
        same = [record for record in found if record.output.analysis == analysis]
        return next(iter(same or found), None)

    def find_at(self, folder: Path, task: str) -> Record | None:
        """Return the output of a task in this folder; None if there is none."""
        same = self._found.get(task, {}).get(folder.name, [])
        return next((record for record in same if record.output.folder.resolve() == folder), None)

    def trainings_of(self, inference: Record) -> dict[str, str]:
        """Return the hash of each training behind predictions, by the name of the member; the name is empty for one training."""
        settings = inference.settings
        if isinstance(training := settings.get("training"), str):
            return {"": training}
        members = settings.get("members")
        found = {}
        for name, other in members.items() if isinstance(members, dict) else ():
            member = self.find(INFERENCE, other, inference.output.analysis)
            if member and isinstance(training := member.settings.get("training"), str):
                found[str(name)] = training
        return found


def _read(output: Output) -> Record | None:
    if "run.json" not in output.files:
        return None
    try:
        content = read_sealed(output.folder / "run.json")
    except (CollidekitError, RecursionError):
        return None
    return Record(output, content) if isinstance(content.get("settings"), dict) else None
