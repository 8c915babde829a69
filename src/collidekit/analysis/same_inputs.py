"""Checks that a model trained with one analysis can be used with another."""

from pathlib import Path
from typing import Any

from collidekit.analysis.schema import Analysis, Collection, Group
from collidekit.analysis.targets import Assignment
from collidekit.errors import CollidekitError


def check_same_inputs(path: Path, trained: Analysis, given: Analysis) -> None:
    """Raise an error that names the difference if inputs, classes or targets are not those of the training."""
    check_same_features(path, trained, given)
    if list(trained.classes) != list(given.classes):
        theirs, ours = (", ".join(analysis.classes) or "none" for analysis in (trained, given))
        raise CollidekitError(f"{path}: was made with a different analysis: its classes are {theirs}, not {ours}")
    values = [{name: list(target.values) for name, target in a.row_targets.items()} for a in (trained, given)]
    if values[0] != values[1]:
        raise CollidekitError(
            f"{path}: was made with a different analysis: its targets of rows are {values[0] or 'none'}, not {values[1] or 'none'}"
        )
    for name, assignment in trained.assignments.items():
        for key, found, other in zip(
            ("slots", "symmetries", "partners"),
            *map(_of_assignment, (assignment, given.assignments[name])),
            strict=True,
        ):
            if found != other:
                raise CollidekitError(
                    f"{path}: was made with a different analysis: target {name!r} has other {key}: {found}, not {other}"
                )
    for name, target in trained.regressions.items():
        if (form := given.regressions[name].form) != target.form:
            theirs, ours = (" ".join(map(str, found)) or "value" for found in (target.form, form))
            raise CollidekitError(
                f"{path}: was made with a different analysis: target {name!r} has estimate {theirs}, but {ours} in analysis {given.name!r}"
            )
        if (unit := given.regressions[name].unit) != target.unit:
            raise CollidekitError(
                f"{path}: was made with a different analysis: target {name!r} has unit {target.unit!r}, but {unit!r} in analysis {given.name!r}"
            )


def _of_assignment(target: Assignment) -> tuple[Any, Any, Any]:
    """Return the collections of the slots, the symmetries and the partners."""
    slots = {p: {s: target.collection_of(p, s) for s in slots} for p, slots in target.parents.items()}
    return slots, sorted(map(sorted, target.symmetries)), dict(sorted(target.partners.items()))


def check_same_features(path: Path, trained: Analysis, given: Analysis) -> None:
    """Raise an error that names the difference if the inputs are not those of the training; classes may differ."""
    for name, entry in trained.inputs.items():
        if name not in given.inputs:
            raise CollidekitError(
                f"{path}: was trained with input {name!r}, which analysis {given.name!r} does not have"
            )
        theirs = given.inputs[name]
        if _shape(entry) != _shape(theirs):
            raise CollidekitError(
                f"{path}: was made with a different analysis: input {name!r} is {_shape(entry)}, but {_shape(theirs)} in analysis "
                f"{given.name!r}"
            )
        for position, feature in enumerate(entry.features):
            other = theirs.features[position] if position < len(theirs.features) else None
            if other is None or other.name != feature.name:
                found = f"has {other.name!r} there" if other else "ends before it"
                raise CollidekitError(
                    f"{path}: was made with a different analysis: feature {position + 1} of input {name!r} is {feature.name!r}, but "
                    f"analysis {given.name!r} {found}"
                )
            for part in ("unit", "default", "bounds", "kind"):
                if getattr(other, part) != getattr(feature, part):
                    raise CollidekitError(
                        f"{path}: was made with a different analysis: feature {feature.name!r} of input {name!r} has {part} "
                        f"{getattr(feature, part)!r}, but {getattr(other, part)!r} in analysis {given.name!r}"
                    )
        if len(theirs.features) > len(entry.features):
            extra = theirs.features[len(entry.features)].name
            raise CollidekitError(
                f"{path}: was made with a different analysis: it has no feature {extra!r} in input {name!r}"
            )


def _shape(entry: Collection | Group) -> str:
    if isinstance(entry, Group):
        return "a flat group"
    parts = [name for name in ("momenta", "coordinates") if getattr(entry, name)]
    return "a collection with " + (" and ".join(parts) or "neither momenta nor coordinates")


def check_same_constituents(path: Path, trained: Analysis, given: Analysis) -> None:
    """Raise CollidekitError if the analysis would keep other constituents of a collection, or order them differently."""
    for name, entry in trained.collections.items():
        other = given.collections[name]
        for part in ("order", "where", "limit"):
            theirs, ours = getattr(entry, part), getattr(other, part)
            if theirs != ours:
                branch = "" if part == "limit" else ": if a branch has another name, define a variable with this name"
                raise CollidekitError(
                    f"{path}: was made with a different analysis: input {name!r} has {part} {theirs!r}, but {ours!r} in analysis {given.name!r}; "
                    f"use the same {part}{branch}"
                )
