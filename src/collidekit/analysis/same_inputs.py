"""Whether a model that was trained with one analysis may be used with another."""

from pathlib import Path
from typing import Any

from collidekit.analysis.schema import Analysis, Collection, Group
from collidekit.analysis.targets import Assignment
from collidekit.errors import CollidekitError


def check_same_inputs(path: Path, trained: Analysis, given: Analysis) -> None:
    """Inputs and classes must be those of the training; the error says which feature differs."""
    check_same_features(path, trained, given)
    if list(trained.classes) != list(given.classes):
        theirs, ours = (", ".join(analysis.classes) or "none" for analysis in (trained, given))
        raise CollidekitError(f"{path}: is of another analysis: its classes are {theirs}, not {ours}")
    values = [{name: list(target.values) for name, target in a.row_targets.items()} for a in (trained, given)]
    if values[0] != values[1]:
        raise CollidekitError(
            f"{path}: is of another analysis: its targets of rows are {values[0] or 'none'}, not {values[1] or 'none'}"
        )
    for name, assignment in trained.assignments.items():
        for key, found, other in zip(
            ("slots", "symmetries", "partners"),
            *map(_of_assignment, (assignment, given.assignments[name])),
            strict=True,
        ):
            if found != other:
                raise CollidekitError(
                    f"{path}: is of another analysis: target {name!r} has other {key}: {found}, not {other}"
                )
    for name, target in trained.regressions.items():
        if (form := given.regressions[name].form) != target.form:
            theirs, ours = (" ".join(map(str, found)) or "value" for found in (target.form, form))
            raise CollidekitError(
                f"{path}: is of another analysis: target {name!r} has estimate {theirs}, and {ours} in analysis {given.name!r}"
            )
        if (unit := given.regressions[name].unit) != target.unit:
            raise CollidekitError(
                f"{path}: is of another analysis: target {name!r} has unit {target.unit!r}, and {unit!r} in analysis {given.name!r}"
            )


def _of_assignment(target: Assignment) -> tuple[Any, Any, Any]:
    """Collections of the slots, symmetries and partners."""
    slots = {p: {s: target.collection_of(p, s) for s in slots} for p, slots in target.parents.items()}
    return slots, sorted(map(sorted, target.symmetries)), dict(sorted(target.partners.items()))


def check_same_features(path: Path, trained: Analysis, given: Analysis) -> None:
    """Inputs must be those of the training; classes may be others."""
    for name, entry in trained.inputs.items():
        if name not in given.inputs:
            raise CollidekitError(
                f"{path}: was trained with input {name!r}, which analysis {given.name!r} does not have"
            )
        theirs = given.inputs[name]
        if _shape(entry) != _shape(theirs):
            raise CollidekitError(
                f"{path}: is of another analysis: input {name!r} is {_shape(entry)}, and {_shape(theirs)} in analysis "
                f"{given.name!r}"
            )
        for position, feature in enumerate(entry.features):
            other = theirs.features[position] if position < len(theirs.features) else None
            if other is None or other.name != feature.name:
                found = f"has {other.name!r} there" if other else "ends before it"
                raise CollidekitError(
                    f"{path}: is of another analysis: feature {position + 1} of input {name!r} is {feature.name!r}, and "
                    f"analysis {given.name!r} {found}"
                )
            for part in ("unit", "default", "bounds", "kind"):
                if getattr(other, part) != getattr(feature, part):
                    raise CollidekitError(
                        f"{path}: is of another analysis: feature {feature.name!r} of input {name!r} has {part} "
                        f"{getattr(feature, part)!r}, and {getattr(other, part)!r} in analysis {given.name!r}"
                    )
        if len(theirs.features) > len(entry.features):
            extra = theirs.features[len(entry.features)].name
            raise CollidekitError(f"{path}: is of another analysis: it has no feature {extra!r} in input {name!r}")


def _shape(entry: Collection | Group) -> str:
    if isinstance(entry, Group):
        return "a flat group"
    parts = [name for name in ("momenta", "coordinates") if getattr(entry, name)]
    return "a collection with " + (" and ".join(parts) or "neither momenta nor coordinates")


def check_same_constituents(path: Path, trained: Analysis, given: Analysis) -> None:
    """Raise CollidekitError where others of the constituents of a collection would go in, or in another order."""
    for name, entry in trained.collections.items():
        other = given.collections[name]
        for part in ("order", "where", "limit"):
            theirs, ours = getattr(entry, part), getattr(other, part)
            if theirs != ours:
                branch = "" if part == "limit" else ": where a branch has another name, by a variable of this name"
                raise CollidekitError(
                    f"{path}: is of another analysis: input {name!r} has {part} {theirs!r}, and {ours!r} in analysis {given.name!r}; "
                    f"give it the same {part}{branch}"
                )
