"""Rows that a model has learned from: they are counted, and folds leave them to the members that did not see them."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from collidekit.analysis.schema import Analysis
from collidekit.dataset.arrays import RowFields
from collidekit.dataset.learned import Content, Known, LearnedFrom, known
from collidekit.errors import CollidekitError
from collidekit.readers import content_of, file_id
from collidekit.readers.base import is_url

if TYPE_CHECKING:
    from collidekit.dataset.manifest import Manifest

Array = np.ndarray[Any, Any]
LOUD = "TRAINING ROWS"
AnyRows = TypeVar("AnyRows", bound=RowFields[Any, Any])


class Learner(Protocol):
    """A model that says what it has learned from: a checkpoint, or a graph of a bundle."""

    @property
    def learned_from(self) -> Sequence[LearnedFrom]: ...


class SeenRows:
    """How each of several models knows the rows that they predict; ``content_of_file`` says what is in file number i."""

    def __init__(self, members: Mapping[str, Learner], content_of_file: Callable[[int], Content]) -> None:
        self.members = members
        self._content = content_of_file
        self._found: dict[str, list[Array]] = {name: [] for name in members}

    def watch(self, batches: Iterable[AnyRows], names: Sequence[str], analysis: Analysis) -> Iterator[AnyRows]:
        """Yield the same batches, which the models of these names are going to predict with this analysis."""
        for batch in batches:
            self.states_of(batch, analysis, names)
            yield batch

    def states_of(self, rows: RowFields[Any, Any], analysis: Analysis, names: Sequence[str] | None = None) -> Array:
        """Return and remember how the models of these names, by default all, know each of the next rows (M, n)."""
        found = []
        for name in self.members if names is None else names:
            found.append(known(self.members[name].learned_from, rows, analysis, self._content))
            self._found[name].append(found[-1])
        return np.stack(found)

    def take(self, states: Array) -> None:
        """Remember how the models know the next rows (M, n), as another process found."""
        for name, found in zip(self.members, states, strict=True):
            self._found[name].append(found)

    @property
    def states(self) -> Array:
        """How each model knows each row (M, N), as values of ``Known``."""
        return np.stack([np.concatenate(parts) for parts in self._found.values()])

    @property
    def holds_out(self) -> bool:
        """Whether there is a row that some model of several held out as its fold."""
        return len(self.members) > 1 and bool((self.states == Known.TEST).any())

    def used(self) -> Array | None:
        """Return which models (M, N) are to predict each row; None where all of them predict every row.

        A row that one of them held out as its fold is left to those that did not learn from it.
        """
        return uses(self.states) if self.holds_out else None

    def warning(self) -> str:
        """Return a loud warning of rows that the models which predict them have learned from; empty where there are none."""
        states, used = self.states, self.used()
        if used is not None:
            states = np.where(used, states, Known.NOT)
        known_best, rows = states.max(axis=0), states.shape[1]
        said = []
        if training := int((known_best == Known.TRAINING).sum()):
            said.append(
                f"{LOUD}: {training:,} of {rows:,} rows ({training / rows:.1%}) are rows that {self._names(states, Known.TRAINING)} "
                "learned from, so all numbers look better than they are; take rows that it has not learned from"
            )
        if maybe := int((known_best == Known.MAYBE).sum()):
            said.append(
                f"{LOUD}? {maybe:,} of {rows:,} rows come from files that {self._names(states, Known.MAYBE)} was trained on; which "
                "of them it learned from cannot be told, since it had another analysis"
            )
        return "; ".join(said)

    def notes(self, combination: str = "mean") -> list[str]:
        """Return what else is to know: which rows chose an epoch, and which were left to the members that held them out."""
        states, used = self.states, self.used()
        if used is not None:
            states = np.where(used, states, Known.NOT)
        rows, notes = states.shape[1], []
        if chose := int((states.max(axis=0) == Known.VALIDATION).sum()):
            who = self._names(states, Known.VALIDATION)
            notes.append(f"{chose:,} of {rows:,} rows are validation rows of {who}: they chose its best epoch")
        if used is not None:
            held = int((states == Known.TEST).any(axis=0).sum())
            notes.append(f"{held:,} of {rows:,} rows are predicted by the members of the folds that did not see them")
            if rest := rows - held:
                notes.append(f"{rest:,} rows, which are in no fold, are predicted by the {combination} of all members")
        return notes

    def _names(self, states: Array, value: Known) -> str:
        names = [name for name, found in zip(self.members, states, strict=True) if (found == value).any()]
        if len(self.members) == 1:
            return "the model"
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def uses(states: Array) -> Array:
    """Return which models (M, N) are to predict each row, from how they know it (M, N), as values of ``Known``.

    A row that one of several held out as its fold is left to those that did not learn from it.
    """
    found: Array = (states <= Known.TEST) | ~(states == Known.TEST).any(axis=0)
    return found if len(states) > 1 else np.ones(states.shape, dtype=bool)


def content_of_paths(paths: Sequence[str], members: Mapping[str, Learner]) -> Callable[[int], Content]:
    """Return a function that says what is in file number i; only a file as large as a training file is read for it."""
    contents = [content for member in members.values() for entry in member.learned_from for content in entry.files]
    sizes = {part for content in contents for part in content if isinstance(part, int)}

    @cache
    def find(number: int) -> Content:
        path = paths[number]
        try:
            if not sizes or (not is_url(path) and os.stat(path).st_size not in sizes):
                return ()
            return content_of(file_id(path))
        except (CollidekitError, OSError):  # what cannot be read is an error of the prediction itself
            return ()

    return find


def content_of_inputs(manifest: "Manifest") -> Callable[[int], Content]:
    """Return a function that says what is in file number i of a dataset."""
    return lambda number: content_of(manifest.inputs[number].get("id", {}))
