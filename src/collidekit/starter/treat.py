"""Improve a guess with the sampled values: choose transforms, bounds and defaults, and leave out features that may be truth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from collidekit.analysis.scope import Plan, Scope, flat_values
from collidekit.dataset.batch import Batch, concatenate
from collidekit.dataset.rows import build_rows, columns_to_read, open_scope
from collidekit.dataset.separation import best_alone, summaries, suspicious
from collidekit.errors import CollidekitError
from collidekit.starter.guessed import Guess, GuessedFeature, GuessedInput
from collidekit.starter.rule import Choice, choose

Parse = Callable[[Guess], Plan]
_WHOLE = 0.95
"""AUC above which an integer of the row is left out in any case, because it is mostly a copy of the truth."""
_ROUNDS = 3
"""Number of searches for truth. A feature that separates perfectly hides others that separate well."""


@dataclass(frozen=True)
class Sampled:
    """A part of a file: its path and number, the entry that it begins with, and its columns."""

    path: str
    number: int
    start: int
    chunk: ak.Array

    def columns(self, plan: Plan) -> ak.Array:
        """Return only the columns that an analysis reads."""
        return self.chunk[columns_to_read(plan, self.chunk.fields, path=self.path)]


def treat(found: Guess, samples: Sequence[Sampled], parse: Parse) -> None:
    """Choose transform, bounds and default of each feature, and leave out features that separate too well to be measured."""
    plan = parse(found)
    for entry in found.inputs:
        chosen = [feature for feature in entry.features if not feature.why_not]
        values = _values(plan, entry, len(chosen), samples)
        choices = dict(zip((f.name for f in chosen), map(choose, _expressions(chosen), values), strict=True))
        entry.features = [_written(f, choices[f.name]) if f.name in choices else f for f in entry.features]
    if found.label:
        for _ in range(_ROUNDS):
            if not _leave_out_truth(found, parse(found), samples):
                return


def _expressions(features: list[GuessedFeature]) -> list[str]:
    return [feature.expression or feature.name for feature in features]


def _values(plan: Plan, entry: GuessedInput, features: int, samples: Sequence[Sampled]) -> list[NDArray[np.float64]]:
    """Return the values (T,) of each feature, without padding."""
    parts: list[list[Any]] = [[] for _ in range(features)]
    for sample in samples:
        scope = open_scope(plan, sample.columns(plan), sample.path, sample.start)
        counts = _counts(plan, scope, entry) if entry.limit else None
        keep = _kept(plan, scope, entry, counts)
        for i, part in enumerate(parts):
            expression = plan["inputs", entry.name, "features", i]
            values = scope.numbers(expression) if counts is None else flat_values(scope.value(expression), counts)
            part.append(np.asarray(values, dtype=np.float64)[keep])
    return [np.concatenate(part) for part in parts]


def _counts(plan: Plan, scope: Scope, entry: GuessedInput) -> NDArray[np.int64]:
    """Return the lengths (N,) of the lists of a collection."""
    for i in range(len(plan.under("inputs", entry.name, "features"))):
        value = scope.value(plan["inputs", entry.name, "features", i])
        if isinstance(value, ak.Array) and value.ndim > 1:
            return np.asarray(ak.to_numpy(ak.num(value, axis=1)))
    raise CollidekitError(f"{scope.path}: {entry.name} holds no lists")


def _kept(plan: Plan, scope: Scope, entry: GuessedInput, counts: NDArray[np.int64] | None) -> Any:
    if counts is None or not entry.where:
        return slice(None)
    return np.asarray(flat_values(scope.value(plan["inputs", entry.name, "where"]), counts)).astype(bool)


def _written(feature: GuessedFeature, choice: Choice) -> GuessedFeature:
    """Return a feature with the choice of the rule; the name of a transformed feature gets a suffix."""
    name = f"{feature.name}_{choice.how}" if choice.how else feature.name
    plain = choice.expression == (feature.expression or feature.name) and name == feature.name
    return replace(
        feature,
        name=name,
        expression=feature.expression if plain else choice.expression,
        kind=choice.kind,
        bounds=choice.bounds,
        default=choice.default,
        note="; ".join(filter(None, (feature.note, *choice.notes))),
        unit=_unit_after(feature.unit, choice.how),
    )


def _unit_after(unit: str, how: str) -> str:
    """Return the unit after a transform: ``log UNIT`` for a logarithm, none for arcsinh(x / width)."""
    return f"log {unit}" if unit and how == "log" else "" if how else unit


def _leave_out_truth(found: Guess, plan: Plan, samples: Sequence[Sampled]) -> bool:
    """Leave out features that alone separate classes better than all others together, or perfectly; return whether any did."""
    batch = _batch(plan, samples)
    if not len(batch):
        return False
    matrix, labels = summaries(batch), batch.labels.numpy()
    asked = suspicious(matrix, labels, plan.analysis)
    known = {one.feature for one in asked}
    whole = {
        f"{g}.{f.name}" for g, entry in plan.analysis.inputs.items() for f in entry.features if f.kind != "continuous"
    }
    alone = best_alone(matrix, labels, plan.analysis).values()
    asked += [one for one in alone if one.feature in whole - known and one.auc >= _WHOLE and not one.summary]
    for one in asked:
        group, _, name = one.feature.partition(".")
        others = f", all other features together with AUC {one.others:.3f}" if one.others is not None else ""
        why = f"is it truth? Alone it separates {one.pair[0]} from {one.pair[1]} with AUC {one.auc:.3f}{others}"
        for entry in found.inputs:
            if entry.name == group:
                entry.features = [replace(f, why_not=why) if f.name == name else f for f in entry.features]
    found.inputs = [entry for entry in found.inputs if any(not feature.why_not for feature in entry.features)]
    return bool(asked) and bool(found.inputs)


def _batch(plan: Plan, samples: Sequence[Sampled]) -> Batch:
    """Return all sampled rows that belong to a class."""
    return concatenate([build_rows(plan, s.columns(plan), s.path, s.number, s.start).batch for s in samples])
