"""Inputs of a comparison: predictions of trained taggers, several seeds of one recipe, and scores from the files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from collidekit.analysis.discriminators import Discriminator
from collidekit.analysis.schema import OF_SOURCE
from collidekit.errors import CollidekitError
from collidekit.inference.predictions import Array, Predictions


@dataclass(frozen=True)
class Contender:
    """A curve of the comparison; with several ``predictions``, one for each seed of a recipe, it is their mean."""

    name: str
    predictions: tuple[Predictions, ...]
    attack: str = ""
    """The attack on the rows; empty if there was none."""
    source: str = ""
    """Origin of the rows: equal texts mean equal test sets."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Network, settings, folder and other facts, for the report."""
    scores: Mapping[str, Array] = field(default_factory=dict)
    """Scores (N,) by discriminator of a tagger in the files; the predictions then only define the rows."""

    @property
    def is_tagger(self) -> bool:
        """Return whether the scores are from a tagger in the files."""
        return bool(self.scores)

    @property
    def first(self) -> Predictions:
        return self.predictions[0]

    def tasks(self, discriminator: str) -> list[tuple[Array, Array, Array]]:
        """Return scores, truth (True = signal) and weights of each seed on the rows of one discriminator."""
        if not self.is_tagger:
            return [rows.task(discriminator) for rows in self.predictions]
        _, truth, weights = self.first.task(discriminator)
        sides = (*self.first.definitions[discriminator].signal, *self.first.definitions[discriminator].background)
        kept = np.isin(self.first.labels, [self.first.classes.index(name) for name in sides])
        return [(self.scores[discriminator][kept], truth, weights)]

    def has(self, discriminator: str) -> bool:
        return not self.is_tagger or discriminator in self.scores


def same_classes(contenders: Sequence[Contender]) -> list[Contender]:
    """Return the contenders with classes in the order of the first one, and with all discriminators of all of them.

    Raises CollidekitError if two contenders have different classes, or different discriminators of the same name.
    """
    first = contenders[0]
    definitions: dict[str, Discriminator] = {}
    named: dict[str, str] = {}
    for contender in contenders:
        if set(contender.first.classes) != set(first.first.classes):
            raise CollidekitError(
                f"{first.name} has the classes {', '.join(first.first.classes)}, and {contender.name} has "
                f"{', '.join(contender.first.classes)}: only taggers with the same classes can be compared"
            )
        for name, definition in contender.first.definitions.items():
            known = definitions.setdefault(name, definition)
            if known != definition:
                raise CollidekitError(
                    f"discriminator {name!r} of {named[name]} ({_sides(known)}) differs from that of {contender.name} "
                    f"({_sides(definition)}): rename one of them in its analysis file, and predict again"
                )
            named.setdefault(name, contender.name)
    return [
        replace(
            contender,
            predictions=tuple(_arranged(rows, first.first.classes, definitions) for rows in contender.predictions),
        )
        for contender in contenders
    ]


def _sides(definition: Discriminator) -> str:
    return f"{' + '.join(definition.signal)} against {' + '.join(definition.background)}"


def _arranged(rows: Predictions, classes: tuple[str, ...], definitions: Mapping[str, Discriminator]) -> Predictions:
    """Return predictions with these classes in this order."""
    if rows.classes == classes:
        return replace(rows, definitions=definitions)
    places = [rows.classes.index(name) for name in classes]
    new = np.full(len(classes) + 1, -1)  # the last element is for label -1
    new[places] = np.arange(len(classes))
    return replace(
        rows,
        classes=classes,
        probabilities=rows.probabilities[:, places],
        labels=new[rows.labels],
        definitions=definitions,
        members={},
    )


def rows_differ(a: Contender, b: Contender) -> str:
    """Return the reason why two contenders were not measured on the same rows; empty if they were."""
    mine, other = a.first, b.first
    if len(mine) != len(other):
        return f"{len(mine):,} rows against {len(other):,}"
    columns = {"class": (mine.labels, other.labels), "weight": (mine.weights, other.weights)}
    columns |= {
        name: (mine.event[name], other.event[name]) for name in mine.event.keys() & other.event.keys() - set(OF_SOURCE)
    }
    columns |= {
        f"spectator {name}": (mine.spectators[name], other.spectators[name])
        for name in mine.spectators.keys() & other.spectators.keys()
    }
    known = len(columns) - 2
    same_source = bool(a.source) and a.source == b.source
    if same_source:
        columns |= {
            f"{name} in the files": (mine.event[name], other.event[name])
            for name in OF_SOURCE
            if name in mine.event and name in other.event
        }
    elif not known:
        return "they have no common event number or spectator to check that the rows are the same"
    for name, (ours, theirs) in columns.items():
        if not np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f" and theirs.dtype.kind == "f"):
            return f"the {name} of {np.count_nonzero(~_equal(ours, theirs)):,} of {len(mine):,} rows differs"
    return ""


def _equal(a: Array, b: Array) -> Array:
    found: Array = a == b
    if a.dtype.kind == b.dtype.kind == "f":
        found = found | (np.isnan(a) & np.isnan(b))
    return found
