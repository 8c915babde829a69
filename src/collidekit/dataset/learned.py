"""What a model has learned from: files by their content and rows by their keys; in other files, rows by their inputs."""

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from attrs import frozen

from collidekit.analysis.schema import Analysis
from collidekit.dataset.arrays import RowFields
from collidekit.dataset.hashing import hash_inputs, told_apart
from collidekit.dataset.parts import SHARE, FoldRule, Folds, RowSplit, Split
from collidekit.dataset.row_sketch import FEW, PARTS, SIZE, RowSketch, sketch_of
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
    """The row is in the fold that was held out: by its key, its inputs, or where it alone decides its event number."""
    OTHER_FOLD = 2
    """The row is in no training file, and its event number says that another network of the folds is for it."""
    VALIDATION = 3
    """The row chose the best epoch."""
    SAME_INPUTS = 4
    """The row has the inputs of a training row, in a file that is no training file: a few such rows may be equal by chance."""
    MAYBE = 5
    """The row is in a training file, but which rows of it were for training cannot be told here."""
    TRAINING = 6


_IN_OTHER_FILE = np.asarray(
    [{"test": Known.TEST, "validation": Known.VALIDATION, "training": Known.SAME_INPUTS}[part] for part in PARTS]
    + [Known.NOT],
    dtype=np.int8,
)
"""By the number of the part; the last one is for -1, a row that is not found."""


class HashedRows:
    """Rows that are looked up by their inputs, which are hashed once for all models and only where one of them asks."""

    def __init__(self, rows: RowFields[Any, Any], analysis: Analysis) -> None:
        self.rows, self.analysis = rows, analysis

    @cached_property
    def hashes(self) -> Array:
        """Hashes of the inputs (N,)."""
        return np.asarray(self.rows.keys) if by_inputs(self.analysis) else hash_inputs(self.rows.inputs)

    @cached_property
    def told_apart(self) -> Array:
        """Rows (N,) that are not empty."""
        return told_apart(self.rows.inputs)


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
    sketch: RowSketch | None = None
    """Its rows by their inputs, to know them in other files; None in models of earlier versions."""

    @classmethod
    def of(cls, dataset: "Dataset", split: RowSplit, size: int = SIZE) -> "LearnedFrom":
        """Return what a training learns from; ``size`` is that of the sketch of its rows."""
        manifest = dataset.manifest
        used = manifest.inputs
        if len(dataset) < manifest.rows:  # of some shards only
            used = used[: int(dataset.read(dataset.blocks[-1]).source[:, 0].max()) + 1]
        files = {content_of(entry["id"]): PurePath(entry["path"]).name for entry in used if "id" in entry}
        broken_up = manifest.summary.get("equal_rows", {}).get("groups", 0)
        pairs = manifest.summary.get("repeated", None if broken_up else [])
        large = None if pairs is None else {int(key): int(size) for key, size in pairs}
        return cls(manifest.analysis.fingerprint, split, files, large, sketch_of(dataset, split, size))

    def as_dict(self) -> dict[str, Any]:
        """For a checkpoint or JSON."""
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
        """From ``as_dict``; KeyError, TypeError or ValueError where it is not of that form."""
        split, pairs = content["split"], content["repeated"]
        return cls(
            str(content["analysis"]),
            _read_folds(split) if "folds" in split else Split(float(split["share"])),
            {tuple(entry): str(name) for name, entry in content["files"]},
            None if pairs is None else {int(key): int(size) for key, size in pairs},
            RowSketch.read(content["sketch"]) if content.get("sketch") else None,
        )

    def knows(self, given: HashedRows, content: Content, alone: bool = True) -> Array:
        """Return how it knows the rows (N,) of one file, as values of ``Known``.

        Rows that it held out as its fold may be left to it, unless it is ``alone``.
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
        """Whether it knows rows in files that are none of its training."""
        return self.by_number or self.sketch is not None

    @property
    def by_number(self) -> bool:
        """Whether the event number alone says which network of its folds is for a row, in any file."""
        return isinstance(self.split, Folds) and self.split.by_number

    def _by_number(self, rows: RowFields[Any, Any]) -> Array:
        """How it knows the rows (N,) of a file that is none of its training."""
        assert isinstance(self.split, Folds)
        held_out = self.split.folds_of(np.asarray(rows.keys), rows.event) == self.split.this
        return np.where(held_out, Known.TEST, Known.OTHER_FOLD).astype(np.int8)

    def _by_inputs(self, given: HashedRows, by_number: Array, alone: bool) -> Array:
        """How it knows the rows (N,) of a file that is none of its training by their inputs, and by their event numbers."""
        assert self.sketch is not None
        looked_up, parts = self.sketch.find(given.hashes)
        looked_up &= given.told_apart
        found = np.where(looked_up, _IN_OTHER_FILE[parts], np.int8(Known.NOT))
        if self.by_number:  # the event number has decided which network never learns from a row
            return np.where(by_number == Known.TEST, by_number, np.maximum(found, by_number))
        if alone or not isinstance(self.split, Folds) or looked_up[given.told_apart].all():
            return found
        return self._with_folds_of_all(given, found, looked_up)

    def _with_folds_of_all(self, given: HashedRows, found: Array, looked_up: Array) -> Array:
        """How it knows the rows (N,) of a file of which only some are looked up, so that each row can be left to one network.

        Where many rows are found, the keys of the others say their folds. Where keys cannot, no row is taken as held out.
        """
        assert self.sketch is not None
        assert isinstance(self.split, Folds)
        rows, analysis = given.rows, given.analysis
        many = (found != Known.NOT).sum() > max(FEW, self.sketch.share_by_chance * looked_up.sum())
        same = analysis.fingerprint == self.fingerprint
        if not (many and same and (analysis.event or (by_inputs(analysis) and self.large is not None))):
            return np.where(found == Known.TEST, np.int8(Known.SAME_INPUTS), found)
        others = ~looked_up & given.told_apart
        if not analysis.event and self.large:
            others &= ~np.isin(given.hashes, np.fromiter(self.large, dtype=np.int64, count=len(self.large)))
        keys = np.asarray(rows.keys) if analysis.event else given.hashes
        for number, part in enumerate(PARTS):
            found[others & self.split.rows(keys, part, rows.event)] = _IN_OTHER_FILE[number]
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
    found: Array = known_by_each([learned], rows, analysis, content_of_file)[0]
    return found


def known_by_each(
    models: Sequence[Sequence[LearnedFrom]],
    rows: RowFields[Any, Any],
    analysis: Analysis,
    content_of_file: Callable[[int], Content],
    alone: bool | None = None,
) -> Array:
    """Return how each model (M, N) knows the rows, as values of ``Known``, from all that each of them learned from.

    ``alone`` says whether no other model predicts the same rows; by default there is none where one is given.
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
