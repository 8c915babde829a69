"""Convert inputs of a data configuration: points, features, vectors and mask of one prefix become a collection."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from collidekit.errors import CollidekitError
from collidekit.starter.text import quoted
from collidekit.starter.weaver.data_file import DataFile, Var, WeaverInput
from collidekit.starter.weaver.variables import Variables

_KINDS = ("points", "features", "vectors", "mask")
_PARTS = ("px", "py", "pz", "e")


@dataclass
class Group:
    """The inputs with one prefix, by their kind."""

    name: str
    parts: dict[str, WeaverInput] = field(default_factory=dict)

    @property
    def length(self) -> int:
        return (self.parts.get("features") or next(iter(self.parts.values()))).length

    @property
    def is_flat(self) -> bool:
        """True if it is a flat group: length 1, and no points, vectors or mask."""
        return self.length == 1 and set(self.parts) == {"features"}


def group_inputs(file: DataFile) -> list[Group]:
    """Return the inputs grouped by prefix, such as pf of pf_points and pf_features. Inputs with other names are groups of features."""
    groups: dict[str, Group] = {}
    for name, entry in file.inputs.items():
        prefix, _, kind = name.rpartition("_")
        known = bool(prefix) and kind in _KINDS
        group = groups.setdefault(prefix if known else name, Group(prefix if known else name))
        if (key := kind if known else "features") in group.parts:
            raise CollidekitError(f"{file.lines.at(('inputs', name))}: {group.name} has features twice")
        group.parts[key] = entry
    for group in list(groups.values()):
        for entry in group.parts.values():
            if entry.length != group.length:
                file.report(
                    f"length {entry.length}: {group.name} can only have one limit, {group.length}",
                    "inputs",
                    entry.name,
                    "length",
                )
        if "features" not in group.parts:
            file.report(
                f"{group.name}: an input without features is left out", "inputs", next(iter(group.parts.values())).name
            )
            del groups[group.name]
    return list(groups.values())


def write_inputs(file: DataFile, variables: Variables, groups: list[Group]) -> Iterator[str]:
    """Yield the lines below ``inputs``."""
    for group in groups:
        features = list(_features(file, variables, group.parts["features"]))
        if not features:
            file.report(f"{group.name}: none of its features can be converted", "inputs", group.parts["features"].name)
            continue
        yield f"  {quoted(group.name)}:"
        if not group.is_flat:
            yield f"    limit: {group.length}"
            yield from _where(file, variables, group)
            yield from _expressions(file, variables, group, "vectors", 4, "momenta", "px, py, pz, E in GeV")
            yield from _expressions(file, variables, group, "points", 2, "coordinates", "")
        yield "    features:"
        yield from (f"      - {feature}" for feature in features)


def _features(file: DataFile, variables: Variables, entry: WeaverInput) -> Iterator[str]:
    for i, var in enumerate(entry.vars):
        place = ("inputs", entry.name, "vars", i)
        try:
            if not var.name.isidentifier():
                raise CollidekitError("is not a valid name")
            if var.scale == 0 and var.center is not None:
                raise CollidekitError("is multiplied by 0, so it is the same in all rows")
            variables.need(var.name)
        except CollidekitError as error:
            file.report(f"feature {var.name}: {error}", *place)
            continue
        if var.automatic:
            file.report(
                f"feature {var.name}: its bounds {var.low:g} and {var.high:g} are dropped, because they apply to values that are scaled "
                "automatically",
                *place,
            )
        yield _feature(var, variables)


def _feature(var: Var, variables: Variables) -> str:
    """Return a feature with weaver's bounds in the units of the file; the network scales it."""
    if var.automatic:
        return f"{{name: {var.name}, scaling: robust}}"
    if var.center is None:
        return f"{{name: {var.name}, scaling: none}}"
    low, high = bounds(var)
    parts = [f"name: {var.name}"]
    if variables.may_be_infinite(var.name):  # as in weaver, an infinite value becomes the bound and is not missing
        parts.append(f'expression: "clip({var.name}, {low}, {high})"')
    return f"{{{', '.join([*parts, f'bounds: [{low}, {high}]'])}}}"


def bounds(var: Var) -> tuple[str, str]:
    """Return the values of a variable that weaver maps to its minimum and maximum, as text."""
    ends = sorted((var.center or 0.0) + end / var.scale for end in (var.low, var.high))
    return f"{ends[0]:.10g}", f"{ends[1]:.10g}"


def _where(file: DataFile, variables: Variables, group: Group) -> Iterator[str]:
    """Yield ``where`` for a mask; a mask of ones is left out, because rows are ragged."""
    if "mask" not in group.parts:
        return
    entry = group.parts["mask"]
    name = entry.vars[0].name
    if "ones_like" in variables.source(name):
        return
    try:
        yield f"    where: {quoted(variables.need(name).condition)}"
        file.report(
            f"{name}: masked members are removed before the limit; weaver sets them to 0 and counts them in the limit",
            "inputs",
            entry.name,
        )
    except CollidekitError as error:
        file.report(f"{name}: {error}", "inputs", entry.name)


def _expressions(
    file: DataFile, variables: Variables, group: Group, kind: str, count: int, key: str, comment: str
) -> Iterator[str]:
    """Yield ``momenta`` from vectors or ``coordinates`` from points, without transformations."""
    if kind not in group.parts:
        return
    entry = group.parts[kind]
    names = [var.name for var in entry.vars]
    if len(names) != count:
        file.report(f"{key} need {count} variables, but {entry.name} has {len(names)}", "inputs", entry.name)
        return
    if kind == "vectors" and not all(part in name.lower() for part, name in zip(_PARTS, names, strict=True)):
        file.report(
            f"momenta must be px, py, pz, E, but {', '.join(names)} do not look like them", "inputs", entry.name
        )
        return
    try:
        texts = [variables.need(name).text for name in names]
    except CollidekitError as error:
        file.report(f"{entry.name}: {error}", "inputs", entry.name)
        return
    if any(var.center not in (None, 0.0) or not math.isclose(var.scale, 1) for var in entry.vars):
        file.report(f"{key}: subtract and multiply are ignored", "inputs", entry.name)
    yield f"    {key}: [{', '.join(texts)}]{f'  # {comment}' if comment else ''}"
