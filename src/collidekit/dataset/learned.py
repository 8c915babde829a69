"""What a model has learned from: the files by their content, the rows by their keys. It recognises the rows elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from attrs import frozen

from collidekit.analysis.schema import Analysis
from collidekit.dataset.arrays import RowFields
from collidekit.dataset.hashing import hash_inputs
from collidekit.dataset.parts import SHARE, FoldRule, Folds, RowSplit, Split
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
    """The row is in the fold that was held out: of a training file, or of any file where the event number alone decides."""
    OTHER_FOLD = 2
    """The row is in no training file, and its event number says that another network of the folds is for it."""
    VALIDATION = 3
    """The row chose the best epoch."""
    MAYBE = 4
    """The row is in a training file, but which rows of it were for training cannot be told here."""
    TRAINING = 5


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
            "split": _folds_as_dict(split) if isinstance(split, Folds) else {"share": split.share},
            "files": [[name, list(content)] for content, name in self.files.items()],
            "repeated": None if self.large is None else [[key, size] for key, size in self.large.items()],
        }

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "LearnedFrom":
        """From ``as_dict``; KeyError, TypeError or ValueError where it is not of that form."""
        split, pairs = content["split"], content["repeated"]
        return cls(
            str(content["analysis"]),
            _read_folds(split) if "folds" in split else Split(float(split["share"])),
            {tuple(entry): str(name) for name, entry in content["files"]},
            None if pairs is None else {int(key): int(size) for key, size in pairs},
        )

    def knows(self, rows: RowFields[Any, Any], analysis: Analysis, content: Content) -> Array:
        """Return how it knows the rows (N,) of one file, as values of ``Known``."""
        found = np.full(len(rows), Known.NOT, dtype=np.int8)
        name = self.files.get(content)
        if name is None:
            return self._by_number(rows) if self.by_number else found
        if analysis.fingerprint != self.fingerprint or (self.large is None and by_inputs(analysis)):
            found[:] = Known.MAYBE
            return found
        keys = self._keys(rows, analysis, name)
        for part, value in (("training", Known.TRAINING), ("validation", Known.VALIDATION), ("test", Known.TEST)):
            found[self.split.rows(keys, part, rows.event)] = value  # type: ignore[arg-type]
        return found

    @property
    def by_number(self) -> bool:
        """Whether the event number alone says which network of its folds is for a row, in any file."""
        return isinstance(self.split, Folds) and self.split.by_number

    def _by_number(self, rows: RowFields[Any, Any]) -> Array:
        """How it knows the rows (N,) of a file that is none of its training."""
        assert isinstance(self.split, Folds)
        held_out = self.split.folds_of(np.asarray(rows.keys), rows.event) == self.split.this
        return np.where(held_out, Known.TEST, Known.OTHER_FOLD).astype(np.int8)

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
        if not any(content in entry.files or entry.by_number for entry in learned):
            continue
        part = rows if len(places) == len(rows) else rows.take(places)
        for entry in learned:
            found[places] = np.maximum(found[places], entry.knows(part, analysis, content))
    return found


def _folds_as_dict(split: Folds) -> dict[str, Any]:
    """What is not said of folds is as in the first versions: by the hash, and of three or more."""
    rule = {"rule": split.rule} if split.by_number else {}
    return {"folds": split.k, "fold": split.this, **rule, **({"share": split.training_share} if split.k == 2 else {})}


def _read_folds(content: Mapping[str, Any]) -> Folds:
    rule = content.get("rule", "hash")
    if rule not in get_args(FoldRule):
        raise ValueError(f"the rule of folds {rule!r} is not known")
    return Folds(int(content["folds"]), int(content["fold"]), rule, float(content.get("share", SHARE)))


def _first_file(source: Array) -> Array:
    return np.stack([np.zeros(len(source), dtype=np.int64), source[:, 1]], axis=1)
