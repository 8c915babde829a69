"""Names of input and output columns in layouts."""

import re
from collections.abc import Iterable
from typing import Literal

import numpy as np
from attrs import frozen

from collidekit.analysis.schema import Analysis, Collection, Group
from collidekit.export.layouts.base import Array, Arrays, Layout, refuse

MOMENTA, COORDINATES = ("px", "py", "pz", "energy"), ("x", "y")
Kind = Literal["probability", "discriminator", "value", "index", "parent", "constituent"]


@frozen
class Variable:
    """A column of an input, with the name that the framework must use."""

    name: str
    fill: float = 0.0
    """Replacement of NaN and infinity."""


def default_names(input_name: str, entry: Collection | Group) -> list[str]:
    """Return a unique name for each column of an input, in order.

    A feature keeps its name. A momentum or coordinate has its expression as the name, if this is a plain name that no
    other column has; otherwise ``<input>_px``, ``_py``, ``_pz``, ``_energy``, ``_x``, ``_y``, with the suffix ``_2`` if
    a feature has this name.
    """
    names = [feature.name for feature in entry.features]
    if not isinstance(entry, Collection):
        return names
    extra = [*(entry.momenta or []), *(entry.coordinates or [])]
    suffixes = [*(MOMENTA if entry.momenta else ()), *(COORDINATES if entry.coordinates else ())]
    taken = [*names, *extra]
    for text, suffix in zip(extra, suffixes, strict=True):
        name = text if text.isidentifier() and taken.count(text) == 1 else f"{input_name}_{suffix}"
        while name in names:
            name += "_2"
        names.append(name)
    return names


def variables(layout: Layout, input_name: str, entry: Collection | Group) -> list[Variable]:
    """Return the columns of an input in order; the option ``variable.<input>.<name>`` renames a column."""
    fills = [feature.fill for feature in entry.features]
    fills += [0.0] * (entry.width - len(fills))
    defaults = default_names(input_name, entry)
    names = [layout.option(f"variable.{input_name}.{name}", name) for name in defaults]
    for default, name in zip(defaults, names, strict=True):
        how = f"rename it with the option variable.{input_name}.{default}"
        if not plain_ascii(name):
            raise refuse(layout.name, f"variable {name!r} of {input_name}: use only letters, digits and _; {how}")
        if names.count(name) > 1:
            raise refuse(layout.name, f"two variables of {input_name} would be named {name!r}; {how}")
    return [Variable(name, fill) for name, fill in zip(names, fills, strict=True)]


def variable_options(analysis: Analysis) -> list[str]:
    """Return the options that rename the variables of all inputs."""
    return [
        f"variable.{name}.{column}" for name, entry in analysis.inputs.items() for column in default_names(name, entry)
    ]


def plain_ascii(name: str) -> bool:
    """Return whether a name has only ASCII letters, digits and _, and does not begin with a digit."""
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None


def kind_of(column: str, layout: Layout) -> Kind:
    """Return the kind of a column of the graph."""
    analysis = layout.graph.analysis
    if column in layout.graph.constituent_outputs:
        return "constituent"
    if column in analysis.discriminators:
        return "discriminator"
    for name, target in analysis.assignments.items():
        if column in {f"index_{slot}" for slot in target.values}:
            return "index"
        if column in {
            f"{parent}_{kind}_probability" for parent in target.parents for kind in ("assignment", "detection")
        }:
            return "parent"
        if column in (f"{name}_probability", f"{name}_complete_probability"):
            return "parent"
    return "probability" if column.startswith("prob_") else "value"


def columns_of_kind(layout: Layout, *kinds: Kind) -> list[str]:
    """Return the columns of the graph of these kinds, in order."""
    return [column for column in layout.graph.output_names if kind_of(column, layout) in kinds]


def label_options(analysis: Analysis) -> list[str]:
    """Return the options that rename classes."""
    return [f"label.{name}" for name in (*analysis.classes, "relegated")]


def label_of(layout: Layout, column: str) -> str:
    """Return the class name of a column ``prob_<class>``, or its new name from the option ``label.<class>``."""
    name = column.removeprefix("prob_")
    label = layout.option(f"label.{name}", name)
    if re.fullmatch(r"[A-Za-z0-9]+", label) is None:
        raise refuse(
            layout.name, f"class {label!r}: use only letters and digits; rename it with the option label.{name}"
        )
    return label


def no_name_twice(layout: Layout, names: Iterable[str], what: str) -> None:
    """Raise CollidekitError if a name occurs twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise refuse(layout.name, f"there would be two {what} named {name!r}; rename one of them")
        seen.add(name)


def constituents(generic: Arrays, name: str, row: int = 0) -> Array:
    """Return the constituents (n, C) of one row, without empty slots."""
    found: Array = generic[name][row][generic[f"{name}_mask"][row] > 0]
    return found.astype(np.float32)


def flat(generic: Arrays, analysis: Analysis) -> Array:
    """Return all flat groups as one array (N, F)."""
    groups = [np.asarray(generic[name], dtype=np.float32) for name in analysis.groups]
    return np.concatenate(groups, axis=1)


def needs_classes(layout: Layout) -> None:
    """Raise CollidekitError if the network has no class probabilities."""
    if not columns_of_kind(layout, "probability"):
        raise refuse(layout.name, "needs class probabilities, and this analysis has no classes; use generic")


def no_assignments(layout: Layout) -> None:
    """Raise CollidekitError if the network assigns constituents."""
    for name in layout.graph.analysis.assignments:
        raise refuse(
            layout.name, f"target {name!r} assigns constituents, and the contract has no output for this; use generic"
        )
