"""What a model has learned from: the files by their content, the rows by their keys. It recognises the rows elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from collidekit.analysis.schema import Analysis
from collidekit.dataset.arrays import RowFields
from collidekit.dataset.hashing import hash_inputs
from collidekit.dataset.parts import Folds, RowSplit, Split
from collidekit.dataset.split import break_up_keys, by_inputs, entry_keys
from collidekit.readers import content_of

if TYPE_CHECKING:
    from collidekit.dataset.loader import Dataset

Array = np.ndarray[Any, Any]
Content = tuple[Any, ...]
"""What a file shares with a copy of it, see ``readers.content_of``."""


class Known(IntEnum):
    """How a model knows a row; the larger one counts where several things are true."""

    NOT = 0
    """The row is in no training file."""
    TEST = 1
    """The row is in a training file, in the fold that was held out."""
    VALIDATION = 2
    """The row chose the best epoch."""
    MAYBE = 3
    """The row is in a training file, but which rows of it were for training cannot be told here."""
    TRAINING = 4


@frozen
class LearnedFrom:
    """The rows of one training."""

    fingerprint: str
    """Of the analysis: another one gives other keys."""
    split: RowSplit
    files: dict[Content, str]
    """Content and name of each file."""
    large: dict[int, int] | None
    """The groups of equal rows that were broken up; None where they are not known."""

    @classmethod
    def of(cls, dataset: "Dataset", split: RowSplit) -> "LearnedFrom":
        manifest = dataset.manifest
        used = manifest.inputs
        if len(dataset) < manifest.rows:  # of some shards only
            used = used[: int(dataset.read(dataset.blocks[-1]).source[:, 0].max()) + 1]
        files = {content_of(entry["id"]): PurePath(entry["path"]).name for entry in used if "id" in entry}
        broken_up = manifest.summary.get("equal_rows", {}).get("groups", 0)
        pairs = manifest.summary.get("repeated", None if broken_up else [])
        large = None if pairs is None else {int(key): int(size) for key, size in pairs}
        return cls(manifest.analysis.fingerprint, split, files, large)

    def as_dict(self) -> dict[str, Any]:
        """For a checkpoint or JSON."""
        split = self.split
        return {
            "analysis": self.fingerprint,
            "split": {"folds": split.k, "fold": split.this} if isinstance(split, Folds) else {"share": split.share},
            "files": [[name, list(content)] for content, name in self.files.items()],
            "repeated": None if self.large is None else [[key, size] for key, size in self.large.items()],
        }

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "LearnedFrom":
        """From ``as_dict``; KeyError, TypeError or ValueError where it is not of that form."""
        split, pairs = content["split"], content["repeated"]
        return cls(
            str(content["analysis"]),
            Folds(int(split["folds"]), int(split["fold"])) if "folds" in split else Split(float(split["share"])),
            {tuple(entry): str(name) for name, entry in content["files"]},
            None if pairs is None else {int(key): int(size) for key, size in pairs},
        )

    def knows(self, rows: RowFields[Any, Any], analysis: Analysis, content: Content) -> Array:
        """Return how it knows the rows (N,) of one file, as values of ``Known``."""
        found = np.full(len(rows), Known.NOT, dtype=np.int8)
        name = self.files.get(content)
        if name is None:
            return found
        if analysis.fingerprint != self.fingerprint or (self.large is None and by_inputs(analysis)):
            found[:] = Known.MAYBE
            return found
        keys = self._keys(rows, analysis, name)
        for part, value in (("training", Known.TRAINING), ("validation", Known.VALIDATION), ("test", Known.TEST)):
            found[self.split.rows(keys, part)] = value  # type: ignore[arg-type]
        return found

    def _keys(self, rows: RowFields[Any, Any], analysis: Analysis, name: str) -> Array:
        """The keys (N,) that the rows had in the training, whatever their file is called now."""
        if analysis.event:
            return np.asarray(rows.keys)
        if analysis.rows:
            return entry_keys(name, np.asarray(rows.source[:, 1]))
        keys = hash_inputs(rows.inputs)
        if not self.large:
            return keys
        return break_up_keys(keys, _first_file(np.asarray(rows.source)), self.large, [name])


def known(
    learned: Sequence[LearnedFrom],
    rows: RowFields[Any, Any],
    analysis: Analysis,
    content_of_file: Callable[[int], Content],
) -> Array:
    """Return how a model that learned from all of these knows the rows (N,), as values of ``Known``."""
    found = np.full(len(rows), Known.NOT, dtype=np.int8)
    files = np.asarray(rows.source[:, 0])
    for file in np.unique(files) if learned else ():
        places = np.flatnonzero(files == file)
        content = content_of_file(int(file))
        if not any(content in entry.files for entry in learned):
            continue
        part = rows if len(places) == len(rows) else rows.take(places)
        for entry in learned:
            found[places] = np.maximum(found[places], entry.knows(part, analysis, content))
    return found


def _first_file(source: Array) -> Array:
    return np.stack([np.zeros(len(source), dtype=np.int64), source[:, 1]], axis=1)
