"""The outputs below a results folder: what they take, what they were made from, and what was made from them.

An output is a folder ``<task>/<analysis>/<versions>/<hash>``. It is complete when it has a ``run.json``, whose settings
hold the hashes of the outputs that it was made from.
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
"""The trials of a search."""
VERSIONS = {
    DATASET: 1, "ConstructionPartTask": 1, "PredictionPartTask": 3, "InputHistogrammerTask": 1, "HistogramPlotterTask": 1, TRAINING: 2, "InferenceTask": 3, "ROCCurveTask": 3,
    "GridTask": 2, "SearchTask": 2, "WorkingPointTask": 3, "ResidualTask": 3, "AssignmentTask": 3, "ReconstructionTask": 3, "ImportanceTask": 3, "SignificanceTask": 3, "RobustnessTask": 3, "CompareTask": 3, "ReportTask": 3, "ExportTask": 3,
}  # fmt: skip
"""How many names of versions stand in the path of a task's outputs."""

UNDER = "_under_"
"""Between the version of a test dataset and the attack on its rows, in the path of attacked results."""

HOUR = 3600.0
"""What changed within this time may be being written."""

_HASH = re.compile(r"[0-9a-f]{10}")
HALF_REMOVED = re.compile(r"\.[0-9a-f]{10}\.\d+\.removed")
_CHECKPOINT = re.compile(r"model_\d+\.pt|last\.pt")


class State(StrEnum):
    """What an output is to the others."""

    USED = "used"
    UNUSED = "unused"
    """A dataset that nothing was made from."""
    NEEDED = "may be needed"
    """A dataset that nothing was made from, but a run that is not complete may be."""
    RESULT = "result"
    MAKING = "being made"
    INTERRUPTED = "interrupted"
    """A training that can go on from a checkpoint, or a search from its journal."""
    UNFINISHED = "unfinished"
    DAMAGED = "damaged"
    HALF_REMOVED = "half removed"


@dataclass(frozen=True)
class File:
    """Bytes, and the time of the last change."""

    size: int
    changed: float
    own: bool = True
    """True if it belongs to this user."""

    @property
    def recent(self) -> bool:
        return time.time() - self.changed < HOUR


@dataclass
class Output:
    """One output: its place, its files, and how many others were made from it."""

    folder: Path
    place: tuple[str, ...]
    """The folder's path below the results."""
    files: dict[str, File]
    inside: bool
    """Of a known task at its place, and not reached by a link: only such outputs are ever removed."""
    named: frozenset[str] = frozenset()
    """Every text in the settings; those that are hashes say what it was made from."""
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
        """The last change of any file; of the folder, where it is empty."""
        return max((file.changed for file in self.files.values()), default=self.folder.lstat().st_mtime)

    @property
    def recent(self) -> bool:
        return time.time() - self.changed < HOUR

    @property
    def own(self) -> bool:
        """Return whether the folder and all files in it belong to this user: nothing else is ever removed."""
        return is_own(self.folder) and all(file.own for file in self.files.values())


def find_outputs(results: Path) -> list[Output]:
    """All outputs below a folder, the largest first. Links are followed to look; nothing behind one is ever removed."""
    outputs = [_look(results, folder) for folder in _folders(results)]
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
    """Those named by a hash; also of tasks that are not known here, since they may refer to others."""
    seen = set()
    for here, folders, _ in os.walk(results, followlinks=True, onerror=_stop):
        links = {name for name in folders if os.path.islink(os.path.join(here, name))}
        folders.sort(key=links.__contains__)  # what is there comes before a link to it
        if (real := os.path.realpath(here)) in seen:
            folders.clear()
            continue
        seen.add(real)
        place = Path(here).relative_to(results).parts
        named = place and (_HASH.fullmatch(place[-1]) or HALF_REMOVED.fullmatch(place[-1]))
        if named and len(place) >= 3 + VERSIONS.get(place[0], 0):
            folders.clear()
            yield Path(here)


def _stop(error: OSError) -> None:
    """What cannot be looked into may refer to anything."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _look(results: Path, folder: Path) -> Output:
    """An output as it lies there; what others mean to it comes later."""
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
    for here, _, names in os.walk(folder, onerror=_stop):
        for name in names:
            path = Path(here, name)
            try:
                status = path.lstat()
            except FileNotFoundError:  # renamed since
                continue
            own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
            yield str(path.relative_to(folder)), File(status.st_size, status.st_mtime, own)


def _texts(settings: Any) -> Iterator[str]:
    """Every text in nested settings."""
    if isinstance(settings, str):
        yield settings
    elif isinstance(settings, dict | list):
        for entry in settings.values() if isinstance(settings, dict) else settings:
            yield from _texts(entry)


def _users(outputs: list[Output]) -> Counter[Path]:
    """How many outputs were made from each folder."""
    by_hash = defaultdict(list)
    for output in outputs:
        by_hash[output.hash].append(output)
    users: Counter[Path] = Counter()
    for output in outputs:
        for name in output.named & by_hash.keys():
            users.update(other.folder for other in _meant(output, by_hash[name]))
    return users


def _meant(user: Output, same: list[Output]) -> list[Output]:
    """Of outputs with one hash, those that fit the user's analysis and versions; all of them where none fits."""
    return [output for output in same if _fits(user, output)] or same


def _fits(user: Output, output: Output) -> bool:
    """The versions in a path are those of dataset, training and test dataset."""
    count = len(output.versions)
    test = tuple(version.split(UNDER)[0] for version in user.versions[2:])
    return user.analysis == output.analysis and output.versions in (user.versions[:count], user.versions[2:], test)


def _may_need(other: Output, dataset: Output) -> bool:
    """Whether a run that is not complete, or whose settings are not known, may be made from a dataset.

    A run may have been at work for long before it refers to a dataset of its own, such as the test dataset.
    """
    if other.analysis == dataset.analysis and other.recent:
        return True
    unknown = other.state in (State.DAMAGED, State.INTERRUPTED) or (
        other.state is State.UNFINISHED and not other.inside
    )
    return unknown and other.task != DATASET and _fits(other, dataset)
