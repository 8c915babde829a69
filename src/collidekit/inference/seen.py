"""Rows of the training set of a model: they are counted and refused, and with folds left to the members that held them out."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from attrs import frozen

from collidekit.analysis.schema import Analysis
from collidekit.dataset.arrays import RowFields
from collidekit.dataset.learned import Content, Known, LearnedFrom, known_by_each
from collidekit.dataset.parts import Folds
from collidekit.errors import CollidekitError
from collidekit.inference.equal_rows import EqualRows
from collidekit.readers import content_of, expand, file_id
from collidekit.readers.base import is_url

if TYPE_CHECKING:
    from collidekit.dataset.manifest import Manifest

Array = np.ndarray[Any, Any]
LOUD = "TRAINING ROWS"
ALLOW = "--allow-training-rows"
"""Option (in Python ``allow_training_rows=True``) that turns the error into a warning."""
AnyRows = TypeVar("AnyRows", bound=RowFields[Any, Any])


class Learner(Protocol):
    """A model that stores what it was trained on: a checkpoint, or a graph of a bundle."""

    @property
    def learned_from(self) -> Sequence[LearnedFrom]: ...


@frozen
class Refusal:
    """Content of the error about training rows: names of the files and models, and the rule of the split."""

    files: Sequence[str]
    who: str = ""
    """Name of the model in the message; by default the names of the members."""
    rule: str = ""
    """Rule of the split in words; by default the rule of the members."""
    remedy: str = f"predict other rows, or pass {ALLOW} to predict these rows anyway"


class SeenRows:
    """Records how each of several models knows the rows that they predict.

    ``content_of_file(i)`` returns the content of file number i. With a ``refusal``, rows are an error if a model that
    predicts them was trained on them.
    """

    def __init__(
        self, members: Mapping[str, Learner], content_of_file: Callable[[int], Content], refusal: Refusal | None = None
    ) -> None:
        self.members, self.refusal = members, refusal
        self._content = content_of_file
        self._found: dict[str, list[Array]] = {name: [] for name in members}
        self._files: list[Array] = []

    def watch(self, batches: Iterable[AnyRows], names: Sequence[str], analysis: Analysis) -> Iterator[AnyRows]:
        """Yield the same batches, before the named models predict them with this analysis.

        Raises CollidekitError after the first file with refused rows. If not all models are named, only ``refuse``
        raises it.
        """
        decides = self.refusal is not None and len(names) == len(self.members)
        refused, equal = -1, self._equal_rows()
        for batch in batches:
            states = self.states_of(batch, analysis, names)
            if decides and refused < 0:
                best, files = learned_by_users(states), np.asarray(batch.source[:, 0])
                if equal.too_many_before(int(files[-1]), best, files):
                    self.refuse()
                if (bad := best >= Known.MAYBE).any():
                    refused = int(files[bad][0])
            if refused < 0:
                yield batch
            elif int(batch.source[-1, 0]) > refused:
                break  # the file is read to its end, to count
        if decides:
            self.refuse()

    def refuse(self) -> None:
        """Raise CollidekitError with the number of refused rows for the first file that has any."""
        if self.refusal is None or not self._files:
            return
        best, files = learned_by_users(self.states), np.concatenate(self._files)
        equal = self._equal_rows()
        bad = (best >= Known.MAYBE) | equal.too_many(best, files)
        if not bad.any():
            return
        file = int(files[bad][0])
        here = best[files == file]
        training, maybe, same = (int((here == kind).sum()) for kind in (Known.TRAINING, Known.MAYBE, Known.SAME_INPUTS))
        kind = Known.TRAINING if training else Known.MAYBE if maybe else Known.SAME_INPUTS
        who = self.refusal.who or self._names(self.states, kind)
        rule = self.refusal.rule or rule_of(
            [entry for member in self.members.values() for entry in member.learned_from]
        )
        count = f"{training or maybe:,} of {len(here):,} rows"
        if training:
            what = f"are rows that {who} was trained on ({rule})"
        elif maybe:
            what = f"are from a file that {who} was trained on with another analysis, so it is not known which of them are training rows"
        else:
            count = equal.count(same, len(here))
            what = f"have the inputs of rows that {who} was trained on ({equal.rule})"
        raise CollidekitError(f"{self.refusal.files[file]}: {count} {what}; {self.refusal.remedy}")

    def states_of(self, rows: RowFields[Any, Any], analysis: Analysis, names: Sequence[str] | None = None) -> Array:
        """Return and record how the named models, by default all, know each of the next rows, as (M, n)."""
        names = list(self.members) if names is None else names
        if names[0] == next(iter(self.members)):
            self._files.append(np.asarray(rows.source[:, 0]))
        learned = [self.members[name].learned_from for name in names]
        found = known_by_each(learned, rows, analysis, self._content, alone=len(self.members) == 1)
        for name, states in zip(names, found, strict=True):
            self._found[name].append(states)
        return found

    def take(self, states: Array, files: Array) -> None:
        """Record how the models know the next rows (M, n), from files with these numbers (n,), as another process has found."""
        self._files.append(files)
        for name, found in zip(self.members, states, strict=True):
            self._found[name].append(found)

    @property
    def newest(self) -> Array:
        """Return how each model knows each row of the newest batch, as (M, n)."""
        return np.stack([parts[-1] for parts in self._found.values()])

    @property
    def states(self) -> Array:
        """Return how each model knows each row, as (M, N) with values of ``Known``."""
        return np.stack([np.concatenate(parts) for parts in self._found.values()])

    @property
    def holds_out(self) -> bool:
        """Return whether one of several models held out some row as its fold."""
        return len(self.members) > 1 and bool((self.states == Known.TEST).any())

    def used(self) -> Array | None:
        """Return flags (M, N) of the models that predict each row; None if all models predict all rows.

        A row that a model held out as its fold is predicted only by models that were not trained on it.
        """
        return uses(self.states) if self.holds_out else None

    def warning(self) -> str:
        """Return a prominent warning about training rows of the models that predict them; empty if there are none."""
        states, used = self.states, self.used()
        if used is not None:
            states = np.where(used, states, Known.NOT)
        known_best, rows = states.max(axis=0), states.shape[1]
        said, equal = [], self._equal_rows()
        if many := int(equal.too_many(known_best, np.concatenate(self._files)).sum()):
            said.append(
                f"{LOUD}: {equal.count(many, rows)} have the inputs of rows that {self._names(states, Known.SAME_INPUTS)} "
                "was trained on, so all results look better than they are; use other rows"
            )
        if training := int((known_best == Known.TRAINING).sum()):
            said.append(
                f"{LOUD}: {training:,} of {rows:,} rows ({training / rows:.1%}) are rows that {self._names(states, Known.TRAINING)} "
                "was trained on, so all results look better than they are; use other rows"
            )
        if maybe := int((known_best == Known.MAYBE).sum()):
            said.append(
                f"{LOUD}? {maybe:,} of {rows:,} rows come from files that {self._names(states, Known.MAYBE)} was trained on with "
                "another analysis, so it is not known which of them are training rows"
            )
        return "; ".join(said)

    def notes(self, combination: str = "mean") -> list[str]:
        """Return notes about validation rows, rows that are equal by chance, and rows that folds have held out."""
        states, used = self.states, self.used()
        if used is not None:
            states = np.where(used, states, Known.NOT)
        rows, notes, best, equal = states.shape[1], [], states.max(axis=0), self._equal_rows()
        if few := int(((best == Known.SAME_INPUTS) & ~equal.too_many(best, np.concatenate(self._files))).sum()):
            who = self._names(states, Known.SAME_INPUTS)
            notes.append(f"{equal.count(few, rows)} have the inputs of rows that {who} was trained on; {equal.rule}")
        if other := int((best == Known.OTHER_FOLD).sum()):
            who = self._names(states, Known.OTHER_FOLD)
            notes.append(
                f"{other:,} of {rows:,} rows have event numbers that belong to another network of the folds of {who}"
            )
        if chose := int((best == Known.VALIDATION).sum()):
            who = self._names(states, Known.VALIDATION)
            notes.append(f"{chose:,} of {rows:,} rows are validation rows of {who}, which selected its best epoch")
        if used is not None:
            held = int((states == Known.TEST).any(axis=0).sum())
            notes.append(f"{held:,} of {rows:,} rows are predicted by the members of the folds that did not see them")
            if rest := rows - held:
                notes.append(f"{rest:,} rows, which are in no fold, are predicted by the {combination} of all members")
        return notes

    def _equal_rows(self) -> EqualRows:
        return EqualRows(entry for member in self.members.values() for entry in member.learned_from)

    def _names(self, states: Array, value: Known) -> str:
        names = [name for name, found in zip(self.members, states, strict=True) if (found == value).any()]
        if len(self.members) == 1:
            return "the model"
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def uses(states: Array) -> Array:
    """Return flags (M, N) of the models that predict each row, from how they know it, as (M, N) with values of ``Known``.

    A row that one of several models held out as its fold is predicted only by models that were not trained on it.
    """
    found: Array = (states <= Known.TEST) | ~(states == Known.TEST).any(axis=0)
    return found if len(states) > 1 else np.ones(states.shape, dtype=bool)


def warning_of(
    model: Learner, name: str, rows: RowFields[Any, Any], files: Sequence[str], analysis: Analysis, allow: bool
) -> str:
    """Return a prominent warning about rows of files that a model was trained on; empty if there are none.

    Raises CollidekitError instead, unless ``allow``.
    """
    members, paths = {name: model}, expand(list(files))
    seen = SeenRows(members, content_of_paths(paths, members), None if allow else Refusal(paths, name))
    list(seen.watch([rows], [name], analysis))
    return seen.warning()


def learned_by_users(states: Array) -> Array:
    """Return the worst value of ``Known`` (N,) among the models that predict a row, from the values (M, N) of all models."""
    found: Array = np.where(uses(states), states, Known.NOT).max(axis=0)
    return found


def rule_of(learned: Sequence[LearnedFrom], fold_rule: str = "") -> str:
    """Return the rule of the split of the training files in words; ``fold_rule`` replaces the rule of folds."""
    if folds := [entry.split for entry in learned if isinstance(entry.split, Folds)]:
        by_number = f"the fold of a row is event number % {folds[0].k}"
        rule = fold_rule or (by_number if folds[0].by_number else "the fold of a row is a hash of its event number")
        held = ", ".join(map(str, sorted({split.this for split in folds})))
        return f"{rule.rstrip('.')}; it held out only fold {held}"
    shares = ", ".join(f"{share:.0%}" for share in sorted({entry.split.share for entry in learned}))
    return f"the training set has {shares} of the rows of this file, by a hash of the event number or inputs"


def content_of_paths(paths: Sequence[str], members: Mapping[str, Learner]) -> Callable[[int], Content]:
    """Return a function that returns the content of file number i; only a file with the size of a training file is read."""
    contents = [content for member in members.values() for entry in member.learned_from for content in entry.files]
    sizes = {part for content in contents for part in content if isinstance(part, int)}

    @cache
    def find(number: int) -> Content:
        path = paths[number]
        try:
            if not sizes or (not is_url(path) and os.stat(path).st_size not in sizes):
                return ()
            return content_of(file_id(path))
        except (CollidekitError, OSError):  # the prediction itself raises an error for an unreadable file
            return ()

    return find


def content_of_inputs(manifest: "Manifest") -> Callable[[int], Content]:
    """Return a function that returns the content of input file number i of a dataset."""
    return lambda number: content_of(manifest.inputs[number].get("id", {}))
