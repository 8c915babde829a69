"""The rows that a model was trained on: files by content and rows by key; in other files, rows by their inputs."""

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from attrs import frozen

from collidekit.analysis.schema import Analysis
from collidekit.dataset.arrays import RowFields
from collidekit.dataset.hashing import comparable_rows, hash_inputs
from collidekit.dataset.parts import SHARE, FoldRule, Folds, RowSplit, Split
from collidekit.dataset.row_sketch import FEW, PARTS, SIZE, RowSketch, sketch_of
from collidekit.dataset.split import break_up_keys, by_inputs, entry_keys
from collidekit.readers import content_of

if TYPE_CHECKING:
    from collidekit.dataset.loader import Dataset

Array = np.ndarray[Any, Any]
Content = tuple[Any, ...]
"""The identity of a file that its copies share, see ``readers.content_of``."""


class Known(IntEnum):
    """The relation of a row to the training rows of a model; if several hold, the largest one counts."""

    NOT = 0
    """The row is in no training file."""
    TEST = 1
    """The row is in the fold that was held out: by its key, by its inputs, or by an event number that only this fold has."""
    OTHER_FOLD = 2
    """The row is in no training file, and its event number belongs to another network of the folds."""
    VALIDATION = 3
    """The row chose the best epoch."""
    SAME_INPUTS = 4
    """The row has the inputs of a training row but is in another file; a few such rows may be equal by chance."""
    MAYBE = 5
    """The row is in a training file, but whether it was a training row cannot be determined here."""
    TRAINING = 6


_IN_OTHER_FILE = np.asarray(
    [{"test": Known.TEST, "validation": Known.VALIDATION, "training": Known.SAME_INPUTS}[part] for part in PARTS]
    + [Known.NOT],
    dtype=np.int8,
)
"""Values by the number of the part; the last one is for -1, a row that is not found."""


class HashedRows:
    """Rows to look up by their inputs, which are hashed only if needed and once for all models."""

    def __init__(self, rows: RowFields[Any, Any], analysis: Analysis) -> None:
        self.rows, self.analysis = rows, analysis

    @cached_property
    def hashes(self) -> Array:
        """Hashes of the inputs (N,)."""
        return np.asarray(self.rows.keys) if by_inputs(self.analysis) else hash_inputs(self.rows.inputs)

    @cached_property
    def comparable_rows(self) -> Array:
        """Rows (N,) that are not empty."""
        return comparable_rows(self.rows.inputs)


@frozen
class LearnedFrom:
    """The rows of one training."""

    fingerprint: str
    """Fingerprint of the analysis; another analysis gives other keys."""
    split: RowSplit
    files: dict[Content, str]
    """Name of each file by its content."""
    large: dict[int, int] | None
    """The groups of equal rows that were broken up; None if they are not known."""
    sketch: RowSketch | None = None
    """Sketch of the inputs of the rows, to find them in other files; None in models of earlier versions."""

    @classmethod
    def of(cls, dataset: "Dataset", split: RowSplit, size: int = SIZE) -> "LearnedFrom":
        """Return the rows that a training uses; ``size`` is the size of the sketch."""
        manifest = dataset.manifest
        used = manifest.inputs
        if len(dataset) < manifest.rows:  # only some shards are read
            used = used[: int(dataset.read(dataset.blocks[-1]).source[:, 0].max()) + 1]
        files = {content_of(entry["id"]): PurePath(entry["path"]).name for entry in used if "id" in entry}
        broken_up = manifest.summary.get("equal_rows", {}).get("groups", 0)
        pairs = manifest.summary.get("repeated", None if broken_up else [])
        large = None if pairs is None else {int(key): int(size) for key, size in pairs}
        return cls(manifest.analysis.fingerprint, split, files, large, sketch_of(dataset, split, size))

    def as_dict(self) -> dict[str, Any]:
        """Return the content for a checkpoint or JSON."""
        split = self.split
        return {
            "analysis": self.fingerprint,
            "split": _folds_as_dict(split) if isinstance(split, Folds) else {"share": split.share},
            "files": [[name, list(content)] for content, name in self.files.items()],
            "repeated": None if self.large is None else [[key, size] for key, size in self.large.items()],
            **({"sketch": self.sketch.as_dict()} if self.sketch else {}),
        }

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "LearnedFrom":
        """Return the object from ``as_dict``; KeyError, TypeError or ValueError if the content is not valid."""
        split, pairs = content["split"], content["repeated"]
        return cls(
            str(content["analysis"]),
            _read_folds(split) if "folds" in split else Split(float(split["share"])),
            {tuple(entry): str(name) for name, entry in content["files"]},
            None if pairs is None else {int(key): int(size) for key, size in pairs},
            RowSketch.read(content["sketch"]) if content.get("sketch") else None,
        )

    def knows(self, given: HashedRows, content: Content, alone: bool = True) -> Array:
        """Return how the model knows the rows (N,) of one file, as values of ``Known``.

        Rows of its held-out fold may be left to this model, unless it is ``alone``.
        """
        rows, analysis = given.rows, given.analysis
        found = np.full(len(rows), Known.NOT, dtype=np.int8)
        name = self.files.get(content)
        if name is None:
            if self.by_number:
                found = self._by_number(rows)
            return self._by_inputs(given, found, alone) if self.sketch else found
        if analysis.fingerprint != self.fingerprint or (self.large is None and by_inputs(analysis)):
            found[:] = Known.MAYBE
            return found
        keys = self._keys(rows, analysis, name)
        for part, value in (("training", Known.TRAINING), ("validation", Known.VALIDATION), ("test", Known.TEST)):
            found[self.split.rows(keys, part, rows.event)] = value  # type: ignore[arg-type]
        return found

    @property
    def somewhere(self) -> bool:
        """True if it can recognise rows in files other than its training files."""
        return self.by_number or self.sketch is not None

    @property
    def by_number(self) -> bool:
        """True if the event number alone decides which network of the folds predicts a row, in any file."""
        return isinstance(self.split, Folds) and self.split.by_number

    def _by_number(self, rows: RowFields[Any, Any]) -> Array:
        """Return how it knows the rows (N,) of a file that is not a training file, by their event numbers."""
        assert isinstance(self.split, Folds)
        held_out = self.split.folds_of(np.asarray(rows.keys), rows.event) == self.split.this
        return np.where(held_out, Known.TEST, Known.OTHER_FOLD).astype(np.int8)

    def _by_inputs(self, given: HashedRows, by_number: Array, alone: bool) -> Array:
        """Return how it knows the rows (N,) of a file that is not a training file, by inputs and event numbers."""
        assert self.sketch is not None
        looked_up, parts = self.sketch.find(given.hashes)
        looked_up &= given.comparable_rows
        found = np.where(looked_up, _IN_OTHER_FILE[parts], np.int8(Known.NOT))
        if self.by_number:  # the event number decides which network never learns from a row
            return np.where(by_number == Known.TEST, by_number, np.maximum(found, by_number))
        if alone or not isinstance(self.split, Folds) or looked_up[given.comparable_rows].all():
            return found
        return self._with_folds_of_all(given, found, looked_up)

    def _with_folds_of_all(self, given: HashedRows, found: Array, looked_up: Array) -> Array:
        """Return how it knows the rows (N,) of a file of which only some are looked up, so that each row has one network.

        If many rows are found, the keys of the others give their folds. If keys cannot, no row counts as held out.
        """
        assert self.sketch is not None
        assert isinstance(self.split, Folds)
        rows, analysis = given.rows, given.analysis
        many = (found != Known.NOT).sum() > max(FEW, self.sketch.share_by_chance * looked_up.sum())
        same = analysis.fingerprint == self.fingerprint
        if not (many and same and (analysis.event or (by_inputs(analysis) and self.large is not None))):
            return np.where(found == Known.TEST, np.int8(Known.SAME_INPUTS), found)
        others = ~looked_up & given.comparable_rows
        if not analysis.event and self.large:
            others &= ~np.isin(given.hashes, np.fromiter(self.large, dtype=np.int64, count=len(self.large)))
        keys = np.asarray(rows.keys) if analysis.event else given.hashes
        for number, part in enumerate(PARTS):
            found[others & self.split.rows(keys, part, rows.event)] = _IN_OTHER_FILE[number]
        return found

    def _keys(self, rows: RowFields[Any, Any], analysis: Analysis, name: str) -> Array:
        """Return the keys (N,) that the rows had in the training, whatever the current name of their file."""
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
    """Return how a model trained on all of these knows the rows (N,), as values of ``Known``."""
    found: Array = known_by_each([learned], rows, analysis, content_of_file)[0]
    return found


def known_by_each(
    models: Sequence[Sequence[LearnedFrom]],
    rows: RowFields[Any, Any],
    analysis: Analysis,
    content_of_file: Callable[[int], Content],
    alone: bool | None = None,
) -> Array:
    """Return how each model knows the rows (M, N), as values of ``Known``, from the rows that it was trained on.

    ``alone`` says that no other model predicts the same rows; the default is true if there is one model.
    """
    found = np.full((len(models), len(rows)), Known.NOT, dtype=np.int8)
    alone = len(models) == 1 if alone is None else alone
    entries = [entry for learned in models for entry in learned]
    files = np.asarray(rows.source[:, 0])
    for file in np.unique(files) if entries else ():
        places = np.flatnonzero(files == file)
        content = content_of_file(int(file))
        if not any(content in entry.files or entry.somewhere for entry in entries):
            continue
        given = HashedRows(rows if len(places) == len(rows) else rows.take(places), analysis)
        for states, learned in zip(found, models, strict=True):
            for entry in learned:
                states[places] = np.maximum(states[places], entry.knows(given, content, alone))
    return found


def _folds_as_dict(split: Folds) -> dict[str, Any]:
    """Return folds as a dict; missing keys have the values of the first versions: rule hash, three or more folds."""
    rule = {"rule": split.rule} if split.by_number else {}
    return {"folds": split.k, "fold": split.this, **rule, **({"share": split.training_share} if split.k == 2 else {})}


def _read_folds(content: Mapping[str, Any]) -> Folds:
    rule = content.get("rule", "hash")
    if rule not in get_args(FoldRule):
        raise ValueError(f"the rule of folds {rule!r} is not known")
    return Folds(int(content["folds"]), int(content["fold"]), rule, float(content.get("share", SHARE)))


def _first_file(source: Array) -> Array:
    return np.stack([np.zeros(len(source), dtype=np.int64), source[:, 1]], axis=1)
