"""Which rows are for training, validation and test: one split by a share, or k folds that cover the whole sample.

Both go by a hash of the row's key: its event number, or its inputs. Order, files, workers and seeds make no difference,
and rows of one event are always in the same part.
"""

from typing import Annotated, Any, ClassVar, Literal, Protocol

import numpy as np
from attrs import frozen
from pydantic import Field, ValidationInfo, field_validator

from collidekit.analysis.features import Strict, wrong
from collidekit.dataset.hashing import hashed, uniform
from collidekit.errors import CollidekitError
from collidekit.settings import setting

Array = np.ndarray[Any, Any]
Part = Literal["training", "validation", "test"]

SALT = 0x5EED
"""Of the hash that decides between training and validation."""
FOLD_SALT = 0xF01D5
"""Of the hash that decides on the fold, which is independent of the one above."""
FEWEST_FOLDS, MOST_FOLDS = 3, 100
"""With 2 folds none would be left for training: one is tested, the other one validates."""


class SplitSettings(Strict):
    """A share of the rows for training, or folds."""

    train_val_split: Annotated[float, Field(gt=0, lt=1)] = setting(0.85, "share of the rows that is for training")
    folds: Annotated[int, Field(ge=0, le=MOST_FOLDS)] = setting(
        0, "train one network for each of so many parts of the rows, which it never sees"
    )
    fold: Annotated[int, Field(ge=-1, lt=MOST_FOLDS)] = setting(
        -1, "train only for this fold, from 0 on; -1 trains for each"
    )

    @field_validator("folds")
    @classmethod
    def _enough_folds(cls, value: int) -> int:
        if 0 < value < FEWEST_FOLDS:
            raise wrong(f"one fold is for test and one for validation: give at least {FEWEST_FOLDS}, or 0 for no folds")
        return value

    @field_validator("fold")
    @classmethod
    def _one_of_the_folds(cls, value: int, info: ValidationInfo) -> int:
        folds = info.data.get("folds", MOST_FOLDS)
        if value >= 0 and not folds:
            raise wrong("is one of several folds: say of how many with --folds")
        if value >= folds > 0:
            raise wrong(f"must be from 0 to {folds - 1} with --folds {folds}")
        return value

    @property
    def split(self) -> "RowSplit":
        """Which rows are for training, validation and test."""
        if not self.folds:
            return Split(self.train_val_split)
        if self.fold < 0:
            raise CollidekitError(
                f"--folds {self.folds}: a training learns one fold: name it with --fold, from 0 to {self.folds - 1}; "
                "'collidekit run' trains all of them"
            )
        return Folds(self.folds, self.fold)

    @property
    def fold_name(self) -> str:
        """``fold 2 of 5``; empty where there are no folds."""
        return f"fold {self.fold} of {self.folds}" if self.folds else ""


class RowSplit(Protocol):
    """What a loader asks: which rows belong to which part."""

    def rows(self, keys: Array, part: Part) -> Array:
        """Return which of the rows with these keys (N,) belong to the part, as conditions (N,)."""
        ...

    parts: ClassVar[tuple[Part, ...]]
    """The parts that need rows."""

    @property
    def share(self) -> float:
        """The expected fraction of rows for training."""
        ...

    @property
    def held_out(self) -> Part:
        """The part to evaluate on where there are no test files."""
        ...

    @property
    def setting(self) -> str:
        """The setting that asks for it, for messages."""
        ...


@frozen
class Split:
    """A fraction ``share`` of the rows is for training, the rest for validation; no row is for test."""

    share: float = 0.85
    parts: ClassVar[tuple[Part, ...]] = ("training", "validation")

    @property
    def held_out(self) -> Part:
        return "validation"

    @property
    def setting(self) -> str:
        return f"train_val_split {self.share:g}"

    def rows(self, keys: Array, part: Part) -> Array:
        if part == "test":
            return np.zeros(len(keys), dtype=bool)
        validation: Array = uniform(keys, SALT) >= self.share
        return validation if part == "validation" else ~validation


@frozen
class Folds:
    """k parts of equal size: ``this`` one is for test, the next one for validation, the others are for training."""

    k: int
    this: int
    parts: ClassVar[tuple[Part, ...]] = ("training", "validation", "test")

    def __attrs_post_init__(self) -> None:
        if not FEWEST_FOLDS <= self.k <= MOST_FOLDS:
            raise CollidekitError(f"--folds: {self.k} is not a number from {FEWEST_FOLDS} to {MOST_FOLDS}")
        if not 0 <= self.this < self.k:
            raise CollidekitError(
                f"--fold: {self.this} is not a number from 0 to {self.k - 1}; one network learns one fold"
            )

    @property
    def share(self) -> float:
        return (self.k - 2) / self.k

    @property
    def held_out(self) -> Part:
        return "test"

    @property
    def setting(self) -> str:
        return f"folds {self.k}"

    def rows(self, keys: Array, part: Part) -> Array:
        found = fold_of(keys, self.k)
        test, validation = found == self.this, found == (self.this + 1) % self.k
        masks: dict[Part, Array] = {"test": test, "validation": validation, "training": ~(test | validation)}
        return masks[part]


def fold_of(keys: Array, k: int) -> Array:
    """Return the fold (N,) in which a row with this key is for test: a number from 0 to k - 1."""
    found: Array = (hashed(keys, FOLD_SALT) % np.uint64(k)).astype(np.int64)
    return found
