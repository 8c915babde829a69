"""Training, validation and test rows: one split by a fraction, or k folds that cover the whole sample.

A hash of the row's key decides the split; the key is the event number or a hash of the inputs. Another hash of it, or the remainder of
the event number, decides the fold. Order, files, workers and seeds have no effect, and rows of one event are always in the same part.
"""

from collections.abc import Mapping
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
FoldRule = Literal["hash", "remainder"]

SALT = 0x5EED
"""Salt of the hash that decides between training and validation."""
FOLD_SALT = 0xF01D5
"""Salt of the hash that decides the fold, which is independent of the one above."""
FEWEST_FOLDS, MOST_FOLDS = 2, 100
SHARE = 0.85
NO_EVENT: Mapping[str, Any] = {}


class SplitSettings(Strict):
    """A fraction of the rows for training, or folds."""

    train_val_split: Annotated[float, Field(gt=0, lt=1)] = setting(
        SHARE, "share of the rows that is for training; with two folds, of the rows that are not held out"
    )
    folds: Annotated[int, Field(ge=0, le=MOST_FOLDS)] = setting(
        0, "train one network for each of so many parts of the rows, which it never sees"
    )
    fold: Annotated[int, Field(ge=-1, lt=MOST_FOLDS)] = setting(
        -1, "train only for this fold, from 0 on; -1 trains for each"
    )
    fold_rule: FoldRule = setting(
        "hash", "the fold of a row: a hash of its event number, or the remainder of the event number divided by folds"
    )

    @field_validator("folds")
    @classmethod
    def _enough_folds(cls, value: int) -> int:
        if 0 < value < FEWEST_FOLDS:
            raise wrong(
                f"one fold is for test and the others are for training: give at least {FEWEST_FOLDS}, or 0 for no folds"
            )
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
        """Return the split into training, validation and test rows."""
        if not self.folds:
            return Split(self.train_val_split)
        if self.fold < 0:
            raise CollidekitError(
                f"--folds {self.folds}: a training learns one fold: name it with --fold, from 0 to {self.folds - 1}; "
                "'collidekit run' trains all of them"
            )
        return Folds(self.folds, self.fold, self.fold_rule, self.train_val_split)

    @property
    def fold_name(self) -> str:
        """``fold 2 of 5``; empty if there are no folds."""
        return f"fold {self.fold} of {self.folds}" if self.folds else ""


class RowSplit(Protocol):
    """The interface of a split for a loader: the rows of each part."""

    def rows(self, keys: Array, part: Part, event: Mapping[str, Any] = NO_EVENT) -> Array:
        """Return which of the rows with these keys (N,) belong to the part, as conditions (N,).

        ``event`` holds the columns (N,) that number an event; the last one is the event number.
        """
        ...

    parts: ClassVar[tuple[Part, ...]]
    """The parts that need rows."""

    @property
    def share(self) -> float:
        """The expected fraction of rows for training."""
        ...

    @property
    def held_out(self) -> Part:
        """The part to evaluate if there are no test files."""
        ...

    @property
    def setting(self) -> str:
        """The setting that selects this split, for messages."""
        ...


@frozen
class Split:
    """A fraction ``share`` of the rows is for training, the rest for validation; no row is for test."""

    share: float = SHARE
    parts: ClassVar[tuple[Part, ...]] = ("training", "validation")

    @property
    def held_out(self) -> Part:
        return "validation"

    @property
    def setting(self) -> str:
        return f"train_val_split {self.share:g}"

    def rows(self, keys: Array, part: Part, event: Mapping[str, Any] = NO_EVENT) -> Array:
        if part == "test":
            return np.zeros(len(keys), dtype=bool)
        validation: Array = uniform(keys, SALT) >= self.share
        return validation if part == "validation" else ~validation


@frozen
class Folds:
    """k parts of equal size: ``this`` one is for test, the next one for validation, the others are for training.

    With two folds, the other one is used for both: a fraction ``training_share`` of it is for training, by a hash of the key
    that is independent of the fold.
    """

    k: int
    this: int
    rule: FoldRule = "hash"
    training_share: float = SHARE
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
        return self.training_share / 2 if self.k == 2 else (self.k - 2) / self.k

    @property
    def held_out(self) -> Part:
        return "test"

    @property
    def setting(self) -> str:
        return f"folds {self.k}"

    @property
    def by_number(self) -> bool:
        """True if the event number alone decides which network predicts an event, in any file."""
        return self.rule == "remainder"

    @property
    def events(self) -> str:
        """Description of the rows that were held out."""
        if not self.by_number:
            return f"rows of fold {self.this} of {self.k}"
        if self.k == 2:
            parity = ("an even", "an odd")[self.this]
            return f"events with {parity} event number (event number % 2 == {self.this})"
        return f"events with event number % {self.k} == {self.this}"

    def rows(self, keys: Array, part: Part, event: Mapping[str, Any] = NO_EVENT) -> Array:
        found = self.folds_of(keys, event)
        test = found == self.this
        if self.k == 2:
            validation = ~test & (uniform(keys, SALT) >= self.training_share)
        else:
            validation = found == (self.this + 1) % self.k
        masks: dict[Part, Array] = {"test": test, "validation": validation, "training": ~(test | validation)}
        return masks[part]

    def folds_of(self, keys: Array, event: Mapping[str, Any] = NO_EVENT) -> Array:
        """Return the fold (N,) in which each row is for test; CollidekitError if its rule needs a missing event number."""
        return remainder_of(event, self.k) if self.by_number else fold_of(keys, self.k)


def fold_of(keys: Array, k: int) -> Array:
    """Return the fold (N,), from 0 to k - 1, in which a row with this key is for test, by the hash."""
    found: Array = (hashed(keys, FOLD_SALT) % np.uint64(k)).astype(np.int64)
    return found


def remainder_of(event: Mapping[str, Any], k: int) -> Array:
    """Return the remainder (N,) of the event number, the last of the columns (N,) of an event, divided by k.

    Raises CollidekitError if there is no event number, or if it is not an integer.
    """
    if not event:
        raise CollidekitError(
            "the remainder of the event number decides on the fold (fold_rule), and the analysis names no event number; give its branch "
            "under 'event', as the last one"
        )
    name = list(event)[-1]
    numbers = np.asarray(event[name])
    if numbers.dtype.kind == "f":
        whole = np.isfinite(numbers) & (numbers == np.floor(numbers))
        if not whole.all():
            raise CollidekitError(
                f"the remainder of the event number decides on the fold (fold_rule), and {name} is {numbers[~whole][0]} in a row, which is no "
                "integer; the last entry under 'event' is the event number"
            )
    found: Array = np.remainder(numbers, numbers.dtype.type(k)).astype(np.int64)
    return found
