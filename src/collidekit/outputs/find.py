"""The outputs below a results folder: their size, what they were made from, and what was made from them.

An output is a folder ``<task>/<analysis>/<versions>/<hash>``. It is complete if it has a ``run.json``. The settings in
``run.json`` contain the hashes of the outputs that it was made from.
"""

import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from collidekit.errors import CollidekitError
from collidekit.files import is_own
from collidekit.sealed import read_sealed

DATASET, TRAINING, SEARCH = "DatasetConstructorTask", "TrainingTask", "SearchTask"
JOURNAL = "study.journal"
"""File with the trials of a search."""
VERSIONS = {
    DATASET: 1, "ConstructionPartTask": 1, "PredictionPartTask": 3, "InputHistogrammerTask": 1, "HistogramPlotterTask": 1, TRAINING: 2, "InferenceTask": 3, "ROCCurveTask": 3,
    "GridTask": 2, "SearchTask": 2, "WorkingPointTask": 3, "ResidualTask": 3, "AssignmentTask": 3, "ReconstructionTask": 3, "ImportanceTask": 3, "SignificanceTask": 3, "RobustnessTask": 3, "CompareTask": 3, "ReportTask": 3, "ExportTask": 3,
}  # fmt: skip
"""Number of version names in the path of a task's outputs."""

UNDER = "_under_"
"""Text between the version of a test dataset and the attack on its rows, in the path of attacked results."""

HOUR = 3600.0
"""Seconds after the last change during which an output may still be being written."""

_HASH = re.compile(r"[0-9a-f]{10}")
HALF_REMOVED = re.compile(r"\.[0-9a-f]{10}\.\d+\.removed")
_CHECKPOINT = re.compile(r"model_\d+\.pt|last\.pt")


class State(StrEnum):
    """State of an output, also relative to other outputs."""

    USED = "used"
    UNUSED = "unused"
    """A dataset that no output was made from."""
    NEEDED = "may be needed"
    """A dataset that no output was made from, but that an incomplete run may need."""
    RESULT = "result"
    MAKING = "being made"
    INTERRUPTED = "interrupted"
    """A training that can continue from a checkpoint, or a search that can continue from its journal."""
    UNFINISHED = "unfinished"
    DAMAGED = "damaged"
    HALF_REMOVED = "half removed"


@dataclass(frozen=True)
class File:
    """Size in bytes and time of the last change of a file."""

    size: int
    changed: float
    own: bool = True
    """True if it belongs to this user."""

    @property
    def recent(self) -> bool:
        return time.time() - self.changed < HOUR


@dataclass
class Output:
    """One output: its path, its files, and the number of outputs that were made from it."""

    folder: Path
    place: tuple[str, ...]
    """Path of the folder below the results, in parts."""
    files: dict[str, File]
    inside: bool
    """True for an output of a known task at its regular path, not reached by a link. Only such outputs are ever removed."""
    named: frozenset[str] = frozenset()
    """All texts in the settings. Hashes among them name the outputs that it was made from."""
    state: State = State.RESULT
    users: int = 0

    @property
    def task(self) -> str:
        return self.place[0]

    @property
    def analysis(self) -> str:
        return self.place[1]

    @property
    def versions(self) -> tuple[str, ...]:
        return self.place[2:-1]

    @property
    def hash(self) -> str:
        return self.place[-1]

    @cached_property
    def size(self) -> int:
        return sum(file.size for file in self.files.values())

    @cached_property
    def changed(self) -> float:
        """Return the time of the last change of any file, or of the folder if it is empty."""
        return max((file.changed for file in self.files.values()), default=self.folder.lstat().st_mtime)

    @property
    def recent(self) -> bool:
        return time.time() - self.changed < HOUR

    @property
    def own(self) -> bool:
        """Return whether the folder and all its files belong to this user. Only such outputs are ever removed."""
        return is_own(self.folder) and all(file.own for file in self.files.values())


def find_outputs(results: Path) -> list[Output]:
    """Return all outputs below a folder, the largest first. Links are followed, but nothing behind a link is ever removed."""
    outputs = [_read_output(results, folder) for folder in _folders(results)]
    users = _users(outputs)
    for output in outputs:
        output.users = users[output.folder]
        if output.state is State.RESULT and output.users:
            output.state = State.USED
        elif output.state is State.RESULT and output.task == DATASET:
            needed = any(_may_need(other, output) for other in outputs)
            output.state = State.NEEDED if needed else State.UNUSED
    return sorted(outputs, key=lambda output: (-output.size, output.place))


def _folders(results: Path) -> Iterator[Path]:
    """Yield all folders whose name is a hash, also of unknown tasks, because they may refer to other outputs."""
    seen = set()
    for here, folders, _ in os.walk(results, followlinks=True, onerror=_raise):
        links = {name for name in folders if os.path.islink(os.path.join(here, name))}
        folders.sort(key=links.__contains__)  # a folder comes before links to it
        if (real := os.path.realpath(here)) in seen:
            folders.clear()
            continue
        seen.add(real)
        place = Path(here).relative_to(results).parts
        named = place and (_HASH.fullmatch(place[-1]) or HALF_REMOVED.fullmatch(place[-1]))
        if named and len(place) >= 3 + VERSIONS.get(place[0], 0):
            folders.clear()
            yield Path(here)


def _raise(error: OSError) -> None:
    """Raise the error for an unreadable folder, because it may refer to any output."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _read_output(results: Path, folder: Path) -> Output:
    """Return an output with the state of its own files; its relation to other outputs is set later."""
    place = folder.relative_to(results).parts
    files = dict(_files(folder))
    known = place[0] in VERSIONS and len(place) == 3 + VERSIONS[place[0]]
    alone = known and not any(name.endswith("/run.json") for name in files)
    output = Output(folder, place, files, alone and folder.resolve() == results.resolve().joinpath(*place))
    if HALF_REMOVED.fullmatch(output.hash):
        output.state = State.HALF_REMOVED
    elif "run.json" in output.files:
        try:
            output.named = frozenset(_texts(read_sealed(folder / "run.json")["settings"]))
        except (CollidekitError, KeyError, RecursionError):
            output.state = State.DAMAGED
    elif output.recent:
        output.state = State.MAKING
    elif (output.task == TRAINING and any(_CHECKPOINT.fullmatch(name) for name in output.files)) or (
        output.task == SEARCH and JOURNAL in output.files
    ):
        output.state = State.INTERRUPTED
    else:
        output.state = State.UNFINISHED
    return output


def _files(folder: Path) -> Iterator[tuple[str, File]]:
    for here, _, names in os.walk(folder, onerror=_raise):
        for name in names:
            path = Path(here, name)
            try:
                status = path.lstat()
            except FileNotFoundError:  # renamed in the meantime
                continue
            own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
            yield str(path.relative_to(folder)), File(status.st_size, status.st_mtime, own)


def _texts(settings: Any) -> Iterator[str]:
    """Yield every text in nested settings."""
    if isinstance(settings, str):
        yield settings
    elif isinstance(settings, dict | list):
        for entry in settings.values() if isinstance(settings, dict) else settings:
            yield from _texts(entry)


def _users(outputs: list[Output]) -> Counter[Path]:
    """Return the number of outputs that were made from each folder."""
    by_hash = defaultdict(list)
    for output in outputs:
        by_hash[output.hash].append(output)
    users: Counter[Path] = Counter()
    for output in outputs:
        for name in output.named & by_hash.keys():
            users.update(other.folder for other in _matching(output, by_hash[name]))
    return users


def _matching(user: Output, same: list[Output]) -> list[Output]:
    """Return the outputs of the same hash that fit the analysis and versions of ``user``; all of them if none fits."""
    return [output for output in same if _fits(user, output)] or same


def _fits(user: Output, output: Output) -> bool:
    """Return whether analysis and versions agree; a path has the versions of dataset, training and test dataset."""
    count = len(output.versions)
    test = tuple(version.split(UNDER)[0] for version in user.versions[2:])
    return user.analysis == output.analysis and output.versions in (user.versions[:count], user.versions[2:], test)


def _may_need(other: Output, dataset: Output) -> bool:
    """Return whether an incomplete run, or an output with unknown settings, may need a dataset.

    A run may work for a long time before it refers to a dataset, such as the test dataset.
    """
    if other.analysis == dataset.analysis and other.recent:
        return True
    unknown = other.state in (State.DAMAGED, State.INTERRUPTED) or (
        other.state is State.UNFINISHED and not other.inside
    )
    return unknown and other.task != DATASET and _fits(other, dataset)
